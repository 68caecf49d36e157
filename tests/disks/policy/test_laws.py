"""What no household and no drive may break, whatever they do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from disks.policy.simulation import DAY, HOUR, MINUTE, DiskSimulation
from fakes.drive import DriveSimulator, disk
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rig.examples import examples

from powerd.core.decide import decide
from powerd.disks.model import CheckPowerMode, DiskAction, FailureCause, PowerFeatures, SpinDown
from powerd.disks.policy.limits import RECHECK_FIRST
from powerd.disks.state import DiskState

laws = settings(
    max_examples=examples(25), deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
# Not shrunk: each example is hours of life, and its log tells more than a shorter one would.
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
    shelf = DiskSimulation(
        *(
            DriveSimulator(disk(n, group=group, array=True, transport=kind.pop("transport")), **kind)
            for n, kind in enumerate(kinds)
        ),
        config=draw(configs),
    )
    happens = [(at, what, n % len(kinds)) for n, (at, what) in enumerate(draw(events))]
    for at, what, n in happens:
        shelf.schedule(at, lambda what=what, n=n: happen(shelf, what, n))  # type: ignore[misc] # bound now
    return shelf, happens


def happen(shelf: DiskSimulation, what: str, n: int) -> None:
    spindle = list(shelf.drives.values())[n]
    match what:
        case "access":
            spindle.access(shelf.at)
        case "prod":
            spindle.passthrough_command(shelf.at)
        case "poll":
            spindle.check_power_mode(shelf.at)
        case "sleep":
            shelf.sleep(HOUR)
        case "step":
            shelf.step += 9 * HOUR
        case "plug":
            spindle.replug(shelf.at, shelf.now.mono)
        case "mend":
            spindle.error = None
        case _:
            spindle.disk = replace(
                spindle.disk, busy_reason=None if spindle.disk.busy_reason else "md0 check"
            )


@laws
@given(simulations())
def test_no_action_wakes_a_disk_and_no_disk_has_two_actions(drawn: tuple[DiskSimulation, object]) -> None:
    """A drive that sleeps is sent nothing but questions and orders to sleep on.

    The shelf itself sees to it that no disk has two orders at once, and that time goes on.
    """
    shelf, _ = drawn
    shelf.run_until(HOURS)
    for spindle in shelf.drives.values():
        assert spindle.times_of("WOKEN BY AN ORDER") == [], spindle.log


@laws
@given(simulations())
def test_no_disk_that_spins_is_long_taken_to_sleep(drawn: tuple[DiskSimulation, object]) -> None:
    """Whoever woke it, by whatever. During an order of powerd's own, nobody can tell whose a command is."""
    shelf, _ = drawn
    shelf.action_duration = 0.001
    for at in range(0, HOURS, 60):
        shelf.run_until(at + 0.7)
        for name, spindle in shelf.drives.items():
            up = max([0.0, *spindle.times_of("up"), *spindle.times_of("resume")])
            believed = shelf.memory.disks[name].state.is_stopped and spindle.spins
            assert not believed or shelf.at - up <= RECHECK_FIRST + shelf.poll_every + 1, spindle.log


@laws
@given(simulations())
def test_a_bridge_that_wakes_its_disk_is_found_out_unless_others_wake_it_too(
    drawn: tuple[DiskSimulation, list[tuple[int, str, int]]],
) -> None:
    shelf, happens = drawn
    shelf.run_until(HOURS)
    for spindle in shelf.drives.values():
        assert len(spindle.times_of("woken by a question")) <= 1 + len(happens), spindle.log


@laws
@given(simulations())
def test_a_drive_that_complies_is_never_given_up(drawn: tuple[DiskSimulation, object]) -> None:
    """Whenever it is accessed, and however long ago its counters were read then."""
    shelf, _ = drawn
    shelf.run_until(HOURS)
    for name, spindle in shelf.drives.items():
        contrary = (
            spindle.ignored_methods
            or spindle.refused_methods
            or spindle.hides_power_mode
            or spindle.bridge == "wakes"
        )
        if not contrary and not spindle.times_of("troubled"):
            memory = shelf.memory.disks[name]
            assert (memory.spin_down.failures, memory.state is DiskState.UNSUPPORTED) == (0, False), (
                spindle.log
            )


@laws
@given(simulations())
def test_no_method_is_verified_that_was_not_used(drawn: tuple[DiskSimulation, object]) -> None:
    shelf, _ = drawn
    shelf.run_until(HOURS)
    for name, spindle in shelf.drives.items():
        worked = shelf.memory.disks[name].spin_down.verified_method
        deceived = spindle.times_of(
            "nap"
        )  # one that is deaf, and stops by itself just then, deceives anybody
        taken = (
            worked is not None
            and spindle.times_of(worked)
            and (worked not in spindle.ignored_methods or deceived)
        )
        assert worked is None or taken, spindle.log


@laws
@given(simulations())
def test_the_budget_holds(drawn: tuple[DiskSimulation, object]) -> None:
    shelf, _ = drawn
    shelf.run_until(HOURS)
    most = shelf.options.disks.max_spin_downs_per_day
    for name in shelf.drives:
        times = [at for disk, at in shelf.accepted_spin_downs if disk == name]
        assert all(b - a >= DAY - 1 for a, b in zip(times, times[most:], strict=False)), times


@laws
@given(simulations())
def test_the_same_facts_twice_give_no_new_action_and_the_same_memory(
    drawn: tuple[DiskSimulation, object],
) -> None:
    shelf, _ = drawn
    for minute in range(0, 180, 7):
        shelf.run_until(minute * MINUTE + 0.7)
        first = decide(shelf.snapshot, shelf.memory, shelf.options, shelf.now)
        again = decide(shelf.snapshot, first.memory, shelf.options, shelf.now)
        assert again.memory == first.memory
        assert set(again.actions) <= set(first.actions)
        begun = replace(
            shelf.snapshot, running_actions=frozenset(first.actions) | shelf.snapshot.running_actions
        )
        assert decide(begun, first.memory, shelf.options, shelf.now).actions == ()


@laws
@given(simulations())
def test_a_step_of_the_wall_clock_changes_nothing(
    drawn: tuple[DiskSimulation, list[tuple[int, str, int]]],
) -> None:
    shelf, happens = drawn
    other = DiskSimulation(*(replace(each, log=[]) for each in shelf.drives.values()))
    other.options = shelf.options
    for at, what, n in happens:
        if what != "step":
            other.schedule(at, lambda what=what, n=n: happen(other, what, n))  # type: ignore[misc] # bound now
    shelf.run_until(HOURS)
    other.run_until(HOURS)
    assert [kinds(each) for _, each in shelf.actions] == [kinds(each) for _, each in other.actions]


def kinds(order: DiskAction) -> tuple[str, str]:
    return type(order).__name__, order.disk


@laws
@given(simulations())
def test_actions_end(drawn: tuple[DiskSimulation, object]) -> None:
    """No drive, however contrary, is pestered: at most a few orders for each thing that happens to it."""
    shelf, happens = drawn
    shelf.run_until(HOURS)
    quiet = [order for at, order in shelf.actions if isinstance(order, CheckPowerMode | SpinDown)]
    assert isinstance(happens, list)
    hourly_and_busy = 3 * 60 * len(shelf.drives)
    logs = [(each.error, each.log) for each in shelf.drives.values()]
    assert len(quiet) <= hourly_and_busy + 20 * (len(happens) + 1) * len(shelf.drives), logs
