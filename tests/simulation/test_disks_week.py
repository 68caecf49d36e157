"""The whole daemon runs for days with four disks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rig.hardware import Hardware, sd_name
from simulation.disk_server import CONFIG, SimulatedDiskServer, access, simulate_disks
from simulation.household import HOUR

from powerd.core.snapshot import Status
from powerd.disks.state import DisksReport, DiskState
from powerd.ui.api import disks_json


@pytest.mark.long
def test_disks_wake_only_when_somebody_touches_them(tmp_path: Path) -> None:
    """The mirror at 20:00 each day and the last disk twice on the second; nobody needs the third."""
    evenings = [(8 + 24.0 * day, access(0)) for day in range(3)]
    second_day = [(24 + 2.0, access(3)), (24 + 6.0, access(3))]
    nas, statuses = simulate_disks(tmp_path, 3, evenings + second_day)
    first, second, third, fourth = nas.drives.values()
    assert [round(at / HOUR, 3) for at in first.times_of("up")] == [hours for hours, _ in evenings]
    late = [b - a for a, b in zip(first.times_of("up"), second.times_of("up"), strict=True)]
    assert max(late) < 0.001, "its mirror is woken with it, at once"
    assert third.times_of("up") == []
    assert [round(at / HOUR, 3) for at in fourth.times_of("up")] == [hours for hours, _ in second_day]
    assert (len(first.times_of("ata")), len(second.times_of("ata"))) == (4, 4)
    assert (len(third.times_of("timer")), len(fourth.times_of("timer"))) == (1, 3)
    assert [len(each.log) for each in (third, fourth)] == [5, 11], "and not a command more"
    assert {
        report.state
        for report in statuses[-1].decision.part(DisksReport).disks
        if report.disk.ineligible_reason is None
    } == {DiskState.STANDBY}
    assert len(nas.guard_requests) == 4


@pytest.mark.long
def test_in_observe_mode_two_days_pass_without_a_command(tmp_path: Path) -> None:
    observing = CONFIG.replace(b'"enforce"', b'"observe"')
    nas, statuses = simulate_disks(tmp_path, 2, [(8, access(0)), (9, access(2))], observing)
    assert [each.log for each in nas.drives.values()] == [[], [], [], []]
    assert nas.guard_requests == []
    waits = {
        report.reason
        for report in statuses[-1].decision.part(DisksReport).disks
        if report.disk.ineligible_reason is None
    }
    (wait,) = waits
    assert "observe" in str(wait)


SWAPS = "Filename\tType\tSize\tUsed\tPriority\n/dev/sdd\tpartition\t1048572\t{}\t-2\n"


@pytest.mark.long
def test_the_journal_s_disks_and_one_that_is_swapped_to_are_left_alone_for_as_long_as_they_are_such(
    tmp_path: Path,
) -> None:
    """journald writes to the mirror until it keeps to memory; the last is swapped to for a while."""

    def runtime(nas: SimulatedDiskServer) -> None:
        hardware_of(nas).put("/etc/systemd/journald.conf", "[Journal]\nStorage=volatile\n")
        hardware_of(nas).put("/run/log/journal/5f1d7a84db2e4f0f9a2a1b7c3d4e5f60/system.journal", "")

    def used(number: int) -> Callable[[SimulatedDiskServer], None]:
        return lambda nas: hardware_of(nas).put("/proc/swaps", SWAPS.format(number))

    def persistent(nas: SimulatedDiskServer) -> None:
        hardware = hardware_of(nas)
        hardware.mount("9:0", "/", "ext4", "/dev/md0")
        hardware.at("/var/log/journal").mkdir(parents=True)
        hardware.put("/run/systemd/journal/flushed", "")

    lines = [(hour / 60, access(0)) for hour in range(1, 240)]
    swapping = [(2.0, access(3)), (2.0, used(8)), (4.0, used(0))]
    config = CONFIG.replace(b'method = "timer"', b'method = "command"')
    nas, statuses = simulate_disks(
        tmp_path, 0.5, [(0.0, persistent), *lines, *swapping, (6.0, runtime)], config
    )
    first, second, third, fourth = nas.drives.values()
    assert [round(at / HOUR, 1) for at in first.times_of("ata")] == [6.0]
    assert [round(at / HOUR, 1) for at in second.times_of("ata")] == [6.0]
    assert len(third.times_of("ata")) == 1
    assert [round(at / HOUR, 1) for at in fourth.times_of("ata")] == [0.3, 4.0]
    report = {each.now.mono: [_state(each, "sda"), _state(each, "sdd")] for each in statuses}
    assert [report[max(at for at in report if at < hours * HOUR)] for hours in (1, 3, 5, 7)] == [
        ["excluded", "standby"],
        ["excluded", "excluded"],
        ["excluded", "standby"],
        ["standby", "standby"],
    ]


def hardware_of(nas: SimulatedDiskServer) -> Hardware:
    assert nas.hardware is not None
    return nas.hardware


@pytest.mark.long
@pytest.mark.parametrize("late", [0.5, 17.0, 59.5])
def test_a_first_access_is_on_the_api_after_one_round_of_counters_at_most(
    tmp_path: Path, late: float
) -> None:
    """Wherever between two rounds it comes; of a group, which has a guard, at once."""
    accesses = [(8 + late / HOUR, access(3)), (9 + late / HOUR, access(0))]
    _, statuses = simulate_disks(tmp_path, 0.5, accesses)
    for hours, _ in accesses:
        device, at = ("sdd" if hours < 9 else "sda"), hours * HOUR
        seen = [(each.now.mono, _state(each, device)) for each in statuses]
        assert [state for when, state in seen if when < at][-1] == "standby"
        active = min(when for when, state in seen if when >= at and state == "active")
        assert active - at <= (60 if device == "sdd" else 1)


@pytest.mark.long
@pytest.mark.parametrize("n", [0, 2])
def test_a_disk_that_a_foreign_command_wakes_is_on_the_api_after_a_poll_and_spins_down_again(
    tmp_path: Path, n: int
) -> None:
    """One by command and one by its timer; no I/O counter shows a spin-down."""
    nas, statuses = simulate_disks(tmp_path, 0.5, [(8.005, lambda nas: nas.passthrough_command(n))])
    device, at = sd_name(n), 8.005 * HOUR
    seen = [(each.now.mono, _state(each, device)) for each in statuses]
    assert [state for when, state in seen if when < at][-1] == "standby"
    active = min(when for when, state in seen if when >= at and state == "active")
    assert active - at <= 61
    assert min(when for when, state in seen if when > active and state == "standby") - at <= 24 * 60
    assert nas.drive(n).times_of("up") == pytest.approx([at])
    assert not nas.drive(n).spins
    assert all(each.times_of("up") == [] for each in nas.drives.values() if each is not nas.drive(n))


@pytest.mark.long
def test_a_program_that_polls_a_disk_makes_powerd_query_that_disk_only(tmp_path: Path) -> None:
    polls = [(8 + minute / 60, lambda nas: nas.check_power_mode(0)) for minute in range(60)]
    nas, statuses = simulate_disks(tmp_path, 0.5, polls)
    assert 10 <= len([at for at in nas.drive(0).times_of("ask") if at >= 8 * HOUR]) <= 12
    late = {_state(each, "sda") for each in statuses if each.now.mono >= 8 * HOUR}
    assert late == {"standby"}
    assert [at for at in nas.drive(1).times_of("ask") if at >= 8 * HOUR] == [], "no other drive is queried"


def _state(status: Status, device: str) -> str | None:
    """As the API has it; None = the disks are not known yet."""
    states = (each["state"] for each in disks_json(status, status.now) if each["device"] == device)
    return next(states, None)
