"""The laws of the disk policy, for any drives and events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation
from facts import decide
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rig.examples import examples

from powerd.disks.model import CheckPowerMode, DiskAction, FailureCause, PowerFeatures, SpinDown
from powerd.disks.policy.limits import RECHECK_FIRST
from powerd.disks.state import DisksMemory, DiskState
from powerd.simulation.drive import DriveSimulator, disk

laws = settings(
    max_examples=examples(25), deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
# Not shrunk: each example is hours long, and its log shows more than that of a shorter one.
ERRORS = st.sampled_from(
    [
        None,
        None,
        None,
        (FailureCause.UNRESPONSIVE, "hung"),
        (FailureCause.BUSY, "busy"),
        (FailureCause.FAILED, "no"),
    ]
)
drives = st.fixed_dictionaries(
    {
        "spins": st.booleans(),
        "ignored_methods": st.sampled_from([frozenset(), frozenset({"ata"}), frozenset({"ata", "scsi"})]),
        "refused_methods": st.sampled_from([frozenset(), frozenset({"ata"}), frozenset({"scsi"})]),
        "hides_power_mode": st.sampled_from([False, False, False, True]),
        "ignores_timer": st.booleans(),
        "bridge": st.sampled_from(["", "", "", "sleeps", "wakes"]),
        "self_standby_after": st.sampled_from([0, 0, 0, 301, 600, 2700]),
        "error": ERRORS,
        "transport": st.sampled_from(["ata", "ata", "usb"]),
        "drive": st.builds(
            PowerFeatures,
            st.sampled_from([None, 127, 254]),
            st.booleans(),
            st.booleans(),
            st.sampled_from([False, True]),
        ),
    }
)
configs = st.builds(
    lambda method, after, most, apm: (
        f'[disks]\nusb = true\nmethod = "{method}"\n'
        f'spin_down_after = "{after}"\nmax_spin_downs_per_day = {most}\n'
        + (f'[[disks.rule]]\nmatch = ["*"]\napm = {apm}\n' if apm else "")
    ),
    st.sampled_from(["command", "timer", "both"]),
    st.sampled_from(["0s", "5min", "20min", "1h"]),
    st.sampled_from([1, 2, 24]),
    st.sampled_from([0, 127]),
)
HOURS = 3 * 3600
events = st.lists(
    st.tuples(
        st.integers(0, HOURS),
        st.sampled_from(
            ["access"] * 6 + ["prod", "prod", "poll"] + ["sleep", "step", "plug", "mend", "resync"]
        ),
    )
)


@st.composite
def simulations(draw: st.DrawFn) -> tuple[DiskSimulation, list[tuple[int, str, int]]]:
    """A few drives of any kind, in one group or alone, and what happens to them in three hours."""
    group = draw(st.sampled_from([None, "md0"]))
    kinds: list[dict[str, Any]] = draw(st.lists(drives, min_size=1, max_size=3))
    simulation = DiskSimulation(
        *(
            DriveSimulator(disk(n, group=group, array=True, transport=kind.pop("transport")), **kind)
            for n, kind in enumerate(kinds)
        ),
        config=draw(configs),
    )
    happens = [(at, what, n % len(kinds)) for n, (at, what) in enumerate(draw(events))]
    for at, what, n in happens:
        simulation.schedule(at, lambda what=what, n=n: happen(simulation, what, n))  # type: ignore[misc] # bound now
    return simulation, happens


def happen(simulation: DiskSimulation, what: str, n: int) -> None:
    drive = list(simulation.drives.values())[n]
    match what:
        case "access":
            drive.access(simulation.at)
        case "prod":
            drive.passthrough_command(simulation.at)
        case "poll":
            drive.check_power_mode(simulation.at)
        case "sleep":
            simulation.sleep(HOUR)
        case "step":
            simulation.step += 9 * HOUR
        case "plug":
            drive.replug(simulation.at, simulation.now.mono)
        case "mend":
            drive.error = None
        case _:
            drive.disk = replace(drive.disk, busy_reason=None if drive.disk.busy_reason else "md0 check")


@laws
@given(simulations())
def test_no_action_wakes_a_disk_and_no_disk_has_two_actions(drawn: tuple[DiskSimulation, object]) -> None:
    """A drive that sleeps is sent nothing but questions and orders to sleep on.

    The shelf itself sees to it that no disk has two orders at once, and that time goes on.
    """
    simulation, _ = drawn
    simulation.run_until(HOURS)
    for drive in simulation.drives.values():
        assert drive.times_of("WOKEN BY AN ORDER") == [], drive.log


@pytest.mark.long
@laws
@given(simulations())
def test_no_disk_that_spins_is_long_taken_to_sleep(drawn: tuple[DiskSimulation, object]) -> None:
    """For any cause of the start. While an action of powerd runs, the origin of a command is unknown."""
    simulation, _ = drawn
    simulation.action_duration = 0.001
    for at in range(0, HOURS, 60):
        simulation.run_until(at + 0.7)
        for name, drive in simulation.drives.items():
            up = max([0.0, *drive.times_of("up"), *drive.times_of("resume")])
            believed = simulation.memory.part(DisksMemory).disks[name].state.is_stopped and drive.spins
            assert not believed or simulation.at - up <= RECHECK_FIRST + simulation.poll_every + 1, drive.log


@laws
@given(simulations())
def test_a_bridge_that_wakes_its_disk_is_found_out_unless_others_wake_it_too(
    drawn: tuple[DiskSimulation, list[tuple[int, str, int]]],
) -> None:
    simulation, happens = drawn
    simulation.run_until(HOURS)
    for drive in simulation.drives.values():
        assert len(drive.times_of("woken by a question")) <= 1 + len(happens), drive.log


@laws
@given(simulations())
def test_a_drive_that_complies_is_never_given_up(drawn: tuple[DiskSimulation, object]) -> None:
    """Whenever it is accessed, and however long ago its counters were read then."""
    simulation, _ = drawn
    simulation.run_until(HOURS)
    for name, drive in simulation.drives.items():
        contrary = (
            drive.ignored_methods
            or drive.refused_methods
            or drive.hides_power_mode
            or drive.bridge == "wakes"
        )
        if not contrary and not drive.times_of("troubled"):
            memory = simulation.memory.part(DisksMemory).disks[name]
            assert (memory.spin_down.failures, memory.state is DiskState.UNSUPPORTED) == (0, False), drive.log


@laws
@given(simulations())
def test_no_method_is_verified_that_was_not_used(drawn: tuple[DiskSimulation, object]) -> None:
    simulation, _ = drawn
    simulation.run_until(HOURS)
    for name, drive in simulation.drives.items():
        worked = simulation.memory.part(DisksMemory).disks[name].spin_down.verified_method
        deceived = drive.times_of("nap")  # one that is deaf, and stops by itself just then, deceives anybody
        taken = (
            worked is not None
            and drive.times_of(worked)
            and (worked not in drive.ignored_methods or deceived)
        )
        assert worked is None or taken, drive.log


@laws
@given(simulations())
def test_the_budget_holds(drawn: tuple[DiskSimulation, object]) -> None:
    simulation, _ = drawn
    simulation.run_until(HOURS)
    most = simulation.options.disks.max_spin_downs_per_day
    for name in simulation.drives:
        times = [at for disk, at in simulation.accepted_spin_downs if disk == name]
        assert all(b - a >= DAY - 1 for a, b in zip(times, times[most:], strict=False)), times


@laws
@given(simulations())
def test_the_same_facts_twice_give_no_new_action_and_the_same_memory(
    drawn: tuple[DiskSimulation, object],
) -> None:
    simulation, _ = drawn
    for minute in range(0, 180, 7):
        simulation.run_until(minute * MINUTE + 0.7)
        first = decide(simulation.snapshot, simulation.memory, simulation.options, simulation.now)
        again = decide(simulation.snapshot, first.memory, simulation.options, simulation.now)
        assert again.memory == first.memory
        assert set(again.actions) <= set(first.actions)
        started = replace(
            simulation.snapshot,
            running_actions=frozenset(first.actions) | simulation.snapshot.running_actions,
        )
        assert decide(started, first.memory, simulation.options, simulation.now).actions == ()


@laws
@given(simulations())
def test_a_step_of_the_wall_clock_changes_nothing(
    drawn: tuple[DiskSimulation, list[tuple[int, str, int]]],
) -> None:
    simulation, happens = drawn
    other = DiskSimulation(*(replace(each, log=[]) for each in simulation.drives.values()))
    other.options = simulation.options
    for at, what, n in happens:
        if what != "step":
            other.schedule(at, lambda what=what, n=n: happen(other, what, n))  # type: ignore[misc] # bound now
    simulation.run_until(HOURS)
    other.run_until(HOURS)
    assert [kinds(each) for _, each in simulation.actions] == [kinds(each) for _, each in other.actions]


def kinds(action: DiskAction) -> tuple[str, str]:
    return type(action).__name__, action.disk


@laws
@given(simulations())
def test_actions_end(drawn: tuple[DiskSimulation, object]) -> None:
    """No drive, however contrary, is pestered: at most a few orders for each thing that happens to it."""
    simulation, happens = drawn
    simulation.run_until(HOURS)
    quiet = [action for at, action in simulation.actions if isinstance(action, CheckPowerMode | SpinDown)]
    assert isinstance(happens, list)
    hourly_and_busy = 3 * 60 * len(simulation.drives)
    logs = [(each.error, each.log) for each in simulation.drives.values()]
    assert len(quiet) <= hourly_and_busy + 20 * (len(happens) + 1) * len(simulation.drives), logs
