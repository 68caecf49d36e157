"""What no household and no drive may break, whatever they do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from policy.disks.shelf import DAY, HOUR, MINUTE, Shelf
from policy.disks.spindle import Spindle, disk

from powerd.model import AskPower, DiskOrder, DiskState, Drive, SpinDown, Trouble
from powerd.policy import decide
from powerd.policy.disks.ways import REASK_FIRST

laws = settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
# Not shrunk: each example is hours of life, and its log tells more than a shorter one would.
TROUBLE = st.sampled_from(
    [None, None, None, (Trouble.HUNG, "hung"), (Trouble.BUSY, "busy"), (Trouble.FAILED, "no")]
)
drives = st.fixed_dictionaries(
    {
        "spins": st.booleans(),
        "deaf": st.sampled_from([frozenset(), frozenset({"ata"}), frozenset({"ata", "scsi"})]),
        "refuses": st.sampled_from([frozenset(), frozenset({"ata"}), frozenset({"scsi"})]),
        "dumb": st.sampled_from([False, False, False, True]),
        "ignores_timer": st.booleans(),
        "bridge": st.sampled_from(["", "", "", "sleeps", "wakes"]),
        "naps": st.sampled_from([0, 0, 0, 301, 600, 2700]),
        "trouble": TROUBLE,
        "transport": st.sampled_from(["ata", "ata", "usb"]),
        "drive": st.builds(
            Drive,
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
def shelves(draw: st.DrawFn) -> tuple[Shelf, list[tuple[int, str, int]]]:
    """A few drives of any kind, in one group or alone, and what happens to them in three hours."""
    group = draw(st.sampled_from([None, "md0"]))
    kinds: list[dict[str, Any]] = draw(st.lists(drives, min_size=1, max_size=3))
    shelf = Shelf(
        *(
            Spindle(disk(n, group=group, array=True, transport=kind.pop("transport")), **kind)
            for n, kind in enumerate(kinds)
        ),
        text=draw(configs),
    )
    happens = [(at, what, n % len(kinds)) for n, (at, what) in enumerate(draw(events))]
    for at, what, n in happens:
        shelf.when(at, lambda what=what, n=n: happen(shelf, what, n))  # type: ignore[misc] # bound now
    return shelf, happens


def happen(shelf: Shelf, what: str, n: int) -> None:
    spindle = list(shelf.spindles.values())[n]
    match what:
        case "access":
            spindle.access(shelf.at)
        case "prod":
            spindle.prod(shelf.at)
        case "poll":
            spindle.poll(shelf.at)
        case "sleep":
            shelf.sleep(HOUR)
        case "step":
            shelf.step += 9 * HOUR
        case "plug":
            spindle.plug(shelf.at, shelf.now.mono)
        case "mend":
            spindle.trouble = None
        case _:
            spindle.disk = replace(spindle.disk, busy=None if spindle.disk.busy else "md0 check")


@laws
@given(shelves())
def test_no_order_wakes_a_disk_and_no_disk_has_two(drawn: tuple[Shelf, object]) -> None:
    """A drive that sleeps is sent nothing but questions and orders to sleep on.

    The shelf itself sees to it that no disk has two orders at once, and that time goes on.
    """
    shelf, _ = drawn
    shelf.live(HOURS)
    for spindle in shelf.spindles.values():
        assert spindle.of("WOKEN BY AN ORDER") == [], spindle.log


@laws
@given(shelves())
def test_no_disk_that_spins_is_long_taken_to_sleep(drawn: tuple[Shelf, object]) -> None:
    """Whoever woke it, by whatever. During an order of powerd's own, nobody can tell whose a command is."""
    shelf, _ = drawn
    shelf.takes = 0.001
    for at in range(0, HOURS, 60):
        shelf.live(at + 0.7)
        for name, spindle in shelf.spindles.items():
            up = max([0.0, *spindle.of("up"), *spindle.of("resume")])
            believed = shelf.memory.disks[name].state.asleep and spindle.spins
            assert not believed or shelf.at - up <= REASK_FIRST + shelf.rhythm + 1, spindle.log


@laws
@given(shelves())
def test_a_bridge_that_wakes_its_disk_is_found_out_unless_others_wake_it_too(
    drawn: tuple[Shelf, list[tuple[int, str, int]]],
) -> None:
    shelf, happens = drawn
    shelf.live(HOURS)
    for spindle in shelf.spindles.values():
        assert len(spindle.of("woken by a question")) <= 1 + len(happens), spindle.log


@laws
@given(shelves())
def test_a_drive_that_obeys_is_never_given_up(drawn: tuple[Shelf, object]) -> None:
    """Whenever it is accessed, and however long ago its counters were read then."""
    shelf, _ = drawn
    shelf.live(HOURS)
    for name, spindle in shelf.spindles.items():
        contrary = spindle.deaf or spindle.refuses or spindle.dumb or spindle.bridge == "wakes"
        if not contrary and not spindle.of("troubled"):
            memory = shelf.memory.disks[name]
            assert (memory.failures, memory.state is DiskState.UNSUPPORTED) == (0, False), spindle.log


@laws
@given(shelves())
def test_no_way_is_said_to_have_worked_that_was_not_taken(drawn: tuple[Shelf, object]) -> None:
    shelf, _ = drawn
    shelf.live(HOURS)
    for name, spindle in shelf.spindles.items():
        worked = shelf.memory.disks[name].worked
        deceived = spindle.of("nap")  # one that is deaf, and stops by itself just then, deceives anybody
        taken = worked is not None and spindle.of(worked) and (worked not in spindle.deaf or deceived)
        assert worked is None or taken, spindle.log


@laws
@given(shelves())
def test_the_budget_holds(drawn: tuple[Shelf, object]) -> None:
    shelf, _ = drawn
    shelf.live(HOURS)
    most = shelf.options.disks.max_spin_downs_per_day
    for name in shelf.spindles:
        times = [at for disk, at in shelf.accepted if disk == name]
        assert all(b - a >= DAY - 1 for a, b in zip(times, times[most:], strict=False)), times


@laws
@given(shelves())
def test_the_same_facts_twice_give_no_new_order_and_the_same_memory(drawn: tuple[Shelf, object]) -> None:
    shelf, _ = drawn
    for minute in range(0, 180, 7):
        shelf.live(minute * MINUTE + 0.7)
        first = decide(shelf.snapshot, shelf.memory, shelf.options, shelf.now)
        again = decide(shelf.snapshot, first.memory, shelf.options, shelf.now)
        assert again.memory == first.memory
        assert set(again.orders) <= set(first.orders)
        begun = replace(shelf.snapshot, in_flight=frozenset(first.orders) | shelf.snapshot.in_flight)
        assert decide(begun, first.memory, shelf.options, shelf.now).orders == ()


@laws
@given(shelves())
def test_a_step_of_the_wall_clock_changes_nothing(drawn: tuple[Shelf, list[tuple[int, str, int]]]) -> None:
    shelf, happens = drawn
    other = Shelf(*(replace(each, log=[]) for each in shelf.spindles.values()))
    other.options = shelf.options
    for at, what, n in happens:
        if what != "step":
            other.when(at, lambda what=what, n=n: happen(other, what, n))  # type: ignore[misc] # bound now
    shelf.live(HOURS)
    other.live(HOURS)
    assert [kinds(each) for _, each in shelf.ordered] == [kinds(each) for _, each in other.ordered]


def kinds(order: DiskOrder) -> tuple[str, str]:
    return type(order).__name__, order.disk


@laws
@given(shelves())
def test_orders_end(drawn: tuple[Shelf, object]) -> None:
    """No drive, however contrary, is pestered: at most a few orders for each thing that happens to it."""
    shelf, happens = drawn
    shelf.live(HOURS)
    quiet = [order for at, order in shelf.ordered if isinstance(order, AskPower | SpinDown)]
    assert isinstance(happens, list)
    hourly_and_busy = 3 * 60 * len(shelf.spindles)
    logs = [(each.trouble, each.log) for each in shelf.spindles.values()]
    assert len(quiet) <= hourly_and_busy + 20 * (len(happens) + 1) * len(shelf.spindles), logs
