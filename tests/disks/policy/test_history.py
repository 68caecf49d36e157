from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from core.snapshot_strategies import T0, moment
from disks.policy.simulation import DAY, HOUR, identical_drives
from hypothesis import given
from hypothesis import strategies as st

from powerd.core.codec import CodecError, encode, salvage
from powerd.core.time import Moment
from powerd.disks.model import DiskId
from powerd.disks.policy import history
from powerd.disks.state import DiskMemory, DisksMemory, DiskState, DriveSettings, SpinCycles, SpinDownAttempts

NAME = DiskId("ata-X_1")
MEMORY = DiskMemory(
    DiskState.STANDBY,
    moment(),
    cycles=SpinCycles(
        spin_downs=(T0 - HOUR, T0 - 60),
        spin_ups=(T0 - 1800,),
        early_spin_ups=(T0 - 1800,),
        backoff_level=1,
        backoff_changed_at=T0 - 1800,
    ),
    spin_down=SpinDownAttempts(verified_method="scsi"),
    settings=DriveSettings(timer_set_by_us=True),
    excluded_reason="it disappeared from the bus after the spin-down command",
)


def stored(memory: DiskMemory = MEMORY, boot: str = "b1") -> dict[str, Any]:
    """The JSON of a document."""
    document: dict[str, Any] = encode(
        history.make_document(history.stored_disks({NAME: memory}), boot, moment())
    )
    return document


def restore(data: object, boot: str, now: Moment) -> dict[DiskId, DiskMemory]:
    """What is restored of the JSON of a document that may be damaged."""
    try:
        document, _ = salvage(history.DisksDocument, data)
    except CodecError:
        document = None
    return history.restore(document, boot, now)


def test_over_a_restart_everything_stands_as_it_was() -> None:
    found = restore(stored(), "b1", moment(T0 + 10))[NAME]
    assert found.state is DiskState.UNKNOWN, "its state has to be queried again"
    assert replace(found, state=MEMORY.state, since=MEMORY.since, attached_at=MEMORY.attached_at) == MEMORY


def test_over_a_reboot_ages_are_computed_from_civil_time() -> None:
    """The machine was off for an hour, and has been up for 100 s."""
    now = replace(moment(100.0), wall=moment(T0 + 3700).wall)
    found = restore(stored(), "b2", now)[NAME]
    assert found.cycles.spin_downs == pytest.approx((100 - 3700 - HOUR, 100 - 3700 - 60))
    assert found.spin_down.verified_method == "scsi"
    assert not found.settings.timer_set_by_us, "the drive has lost its power"


def test_a_timer_is_forgotten_by_a_drive_that_slept_with_the_machine_meanwhile() -> None:
    assert not restore(stored(), "b1", moment(T0 + 10, 600.0))[NAME].settings.timer_set_by_us


def test_a_timer_alone_is_worth_remembering() -> None:
    memory = DiskMemory(
        DiskState.ACTIVE, moment(), settings=DriveSettings(standby_timer=600, timer_set_by_us=True)
    )
    assert restore(stored(memory), "b1", moment())[NAME].settings.timer_set_by_us


def test_an_exclusion_survives_a_reboot_and_is_stored_alone() -> None:
    memory = DiskMemory(
        DiskState.UNSUPPORTED, moment(), excluded_reason="its USB bridge starts it at each power mode check"
    )
    assert restore(stored(memory), "b2", moment(T0 + 10))[NAME].excluded_reason == memory.excluded_reason


def test_a_document_of_a_powerd_that_barred_nothing_bars_nothing() -> None:
    data = stored()
    del data["disks"][NAME]["barred"]
    assert restore(data, "b1", moment())[NAME].excluded_reason == ""


@pytest.mark.parametrize("lacking", ["slept", "timer"])
def test_a_document_of_a_version_without_timers_has_none(lacking: str) -> None:
    data = stored()
    data.pop(lacking, None)
    data["disks"][NAME].pop(lacking, None)
    found = restore(data, "b1", moment())[NAME]
    assert (found.settings.timer_set_by_us, found.spin_down.verified_method) == (False, "scsi")


def test_a_clock_that_went_back_makes_nothing_younger_than_it_was() -> None:
    now = replace(moment(100.0), wall=moment(T0 - 90 * DAY).wall)
    found = restore(stored(), "b2", now)[NAME]
    assert found.cycles.spin_downs == pytest.approx((100 - HOUR, 100 - 60))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("downs", "yesterday"),
        ("ups", [T0 - 1800, "now", 1e30]),
        ("bounces", {"at": T0 - 1800}),
        ("stretch", 9),
        ("stretched", "never"),
        ("worked", "nvme"),
        ("timer", 1),
        ("barred", None),
        ("colour", "red"),
    ],
)
def test_a_value_that_is_not_understood_loses_no_other(key: str, value: object) -> None:
    data = stored()
    data["disks"][NAME][key] = value
    data["disks"]["ata-Y_2"] = 7
    found = restore(data, "b1", moment(T0 + 10))
    assert list(found) == [NAME]
    expected = restore(stored(), "b1", moment(T0 + 10))[NAME]
    cycles, lost = found[NAME].cycles, found[NAME]
    assert cycles.spin_downs == (() if key == "downs" else expected.cycles.spin_downs)
    assert cycles.spin_ups == expected.cycles.spin_ups
    assert cycles.early_spin_ups == (() if key == "bounces" else expected.cycles.early_spin_ups)
    assert cycles.backoff_level == (0 if key == "stretch" else 1)
    assert cycles.backoff_changed_at == (T0 + 10 if key == "stretched" else T0 - 1800)
    assert lost.spin_down.verified_method == (None if key == "worked" else "scsi")
    assert lost.settings.timer_set_by_us is (key != "timer")
    assert lost.excluded_reason == ("" if key == "barred" else expected.excluded_reason)


def test_what_is_older_than_a_day_is_gone() -> None:
    assert restore(stored(), "b1", moment(T0 + DAY - 100))[NAME].cycles.spin_downs == (T0 - 60,)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from(
        ["boot", "boottime", "slept", "wall", "disks", NAME, "downs", "stretch", "stretched", "barred", ""]
    ),
)
def test_any_document_loads_without_an_exception(value: object, where: str) -> None:
    data = stored()
    rows = {"": value}.get(where, data)
    if where in data:
        data[where] = value
    elif where == NAME:
        data["disks"][NAME] = value
    elif where:
        data["disks"][NAME][where] = value
    for memory in restore(rows, "b1", moment()).values():
        assert all(
            each <= T0
            for each in (*memory.cycles.spin_downs, *memory.cycles.spin_ups, *memory.cycles.early_spin_ups)
        )
        assert 0 <= memory.cycles.backoff_level <= 3


def test_a_disk_of_which_nothing_is_known_is_not_written() -> None:
    assert history.stored_disks({NAME: DiskMemory(DiskState.ACTIVE, moment())}) == {}


def test_the_document_is_the_same_until_something_has_happened() -> None:
    simulation = identical_drives(2).run_until(HOUR)
    first = history.stored_disks(simulation.memory.part(DisksMemory).disks)
    simulation.run_until(5 * HOUR)
    assert history.stored_disks(simulation.memory.part(DisksMemory).disks) == first
    simulation.access(0, 5 * HOUR + 1)
    simulation.run_until(6 * HOUR)
    assert history.stored_disks(simulation.memory.part(DisksMemory).disks) != first


def rows(**spin_downs: tuple[float, ...]) -> history.StoredDisks:
    return {
        DiskId(name): history.StoredDisk(times, verified_method="ata") for name, times in spin_downs.items()
    }


@pytest.mark.parametrize(
    ("written", "known", "since"),
    [
        ({}, {}, False),
        ({}, {"a": (1.0,)}, True),
        ({"a": (1.0, 2.0)}, {"a": (2.0,)}, False),
        ({"a": (1.0, 2.0)}, {"a": (2.0, 4.0)}, True),
        ({"a": (1.0,)}, {"b": ()}, False),
        ({}, {"a": ()}, False),
    ],
)
def test_an_unwritten_spin_down_differs_from_one_that_is_a_day_old(
    written: dict[str, tuple[float, ...]], known: dict[str, tuple[float, ...]], *, since: bool
) -> None:
    assert history.has_new_spin_downs(rows(**written), rows(**known)) is since
