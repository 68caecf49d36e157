"""Hypothesis strategies for everything that decide() may be handed, and small builders for examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from facts import changed, decide, new_snapshot
from hypothesis import strategies as st

from powerd.activity.model import ACTIVITY
from powerd.config.options import AwakeOptions, ClientOptions, Options, SleepRule, WakeOptions
from powerd.config.values import TimeWindow, WeeklyTime
from powerd.core.actions import Action, CompletedAction, Sleep, WarnUsers
from powerd.core.snapshot import Decision, Memory, Snapshot, SourceId
from powerd.core.time import Moment, Reading, Unavailable
from powerd.power.model import (
    LOGIND,
    NETWORK_CARDS,
    TIMERS,
    Inhibitor,
    KeyPress,
    ShutdownInProgress,
    SleepRequest,
    SystemdTimer,
)
from powerd.presence.model import Client, ClientId, EvidenceKind, Observation

T = TypeVar("T")
BERLIN = ZoneInfo("Europe/Berlin")
CLIENTS = SourceId("clients")
T0 = 100_000.0


def moment(mono: float = T0, slept: float = 0.0, wall: datetime | None = None) -> Moment:
    begin = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)
    civil = wall or (begin + timedelta(seconds=mono - T0 + slept)).astimezone(BERLIN)
    return Moment(mono, slept, civil)


def client(n: int) -> Client:
    return Client(
        ClientId(f"02:00:00:00:00:{n:02x}"), (f"10.0.0.{n}",), f"02:00:00:00:00:{n:02x}", f"host{n}"
    )


def make_snapshot(
    observations: Mapping[int, Reading[Observation] | Unavailable],
    *,
    at: float,
    clients_reading: Reading[tuple[str, ...]] | Unavailable | None = None,
) -> Snapshot:
    clients = [client(n) for n in observations]
    return new_snapshot(
        sources={
            CLIENTS: clients_reading or Reading(at, ()),
            ACTIVITY: Reading(at, ()),
            LOGIND: Reading(at, ()),
            TIMERS: Reading(at, ()),
            NETWORK_CARDS: Reading(at, ()),
        },
        clients={each.id: each for each in clients},
        observations={client(n).id: observation for n, observation in observations.items()},
    )


def silent(at: float, since: float) -> Reading[Observation]:
    return Reading(at, Observation(silent_since=since))


def home(at: float) -> Reading[Observation]:
    return Reading(at, Observation(last_seen=at, evidence=EvidenceKind.ICMP, answers_icmp=True))


def idle_memory(now: Moment, idle: float) -> Memory:
    """Of a daemon that has long been up and has seen nobody for ``idle`` seconds."""
    return changed(
        Memory.initial(moment(now.mono - 90_000.0)),
        last_decision_at=Moment(now.mono - 1.0, now.slept, now.wall - timedelta(seconds=1)),
        idle_since=now.mono - idle,
    )


def sleep_actions(decision: Decision) -> set[Action]:
    return {action for action in decision.actions if isinstance(action, Sleep)}


def whole(lo: int, hi: int) -> st.SearchStrategy[float]:
    return st.integers(lo, hi).map(float)


windows = st.builds(
    TimeWindow,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 1439),
    end=st.integers(1, 1440),
).filter(lambda window: window.start != window.end)

rules = st.builds(
    SleepRule,
    action=st.sampled_from(["suspend", "poweroff", "command"]),
    during=st.lists(windows, max_size=2).map(tuple),
    idle_for=whole(0, 3600),
    warn=st.sampled_from([0.0, 60.0, 300.0]),
    command=st.just(("/bin/true",)),
)
_days = st.frozensets(st.integers(0, 6), min_size=1)
wakes = st.builds(
    WakeOptions,
    at=st.lists(st.builds(WeeklyTime, days=_days, minute=st.integers(0, 1439)), max_size=2).map(tuple),
    timers=st.sampled_from([(), ("auto",)]),
    before=whole(0, 3600),
    min_sleep=whole(60, 3600),
)
options = st.builds(
    Options,
    mode=st.sampled_from(["observe", "enforce"]),
    clients=st.builds(ClientOptions, every=st.just(60.0), absent_after=whole(1, 900)),
    sleep=st.lists(rules, max_size=3).map(tuple),
    awake=st.builds(AwakeOptions, after_start=whole(0, 1200), after_resume=whole(0, 1200)),
    wake=st.one_of(st.just(WakeOptions()), wakes),
)
wake_options = st.builds(Options, wake=wakes)
_distance = st.none() | st.integers(-86_400, 90 * 86_400).map(float)
timer_facts = st.lists(st.tuples(_distance, _distance), max_size=3).map(tuple)
"""Distances of timers' next elapses from now, on the wall clock and on CLOCK_MONOTONIC, seconds."""
moments = st.builds(
    lambda mono, slept: moment(T0 + mono, slept), mono=whole(0, 10 * 86400), slept=whole(0, 86400)
)


Fact = Reading[Observation] | Unavailable
AtTime = Callable[[float], T]
"""What is drawn before the moment is known: hypothesis is quick only with strategies that are made once."""
_ago = whole(0, 400)
_long_ago = whole(0, 40_000)


def _silent(ago: float, for_: float) -> AtTime[Fact]:
    return lambda now: silent(now - ago / 10, now - ago / 10 - for_)


def _home(ago: float) -> AtTime[Fact]:
    return lambda now: home(now - ago)


def _unavailable(ago: float) -> AtTime[Fact]:
    return lambda now: Unavailable(now - ago, "could not be asked")


fact_draws: st.SearchStrategy[AtTime[Fact]] = st.one_of(
    st.builds(_silent, _ago, _long_ago),
    st.builds(_silent, _ago, _long_ago),
    st.builds(_home, _long_ago),
    st.builds(_unavailable, _ago),
)


DrawnResult = tuple[int, float, bool, bool]


def _result(config: Options, drawn: DrawnResult, now: float) -> CompletedAction:
    rule, ago, ok, warned = drawn
    row = config.sleep[rule % len(config.sleep)]
    n = rule % len(config.sleep)
    action: Action = (
        WarnUsers(n, row.action, row.warn) if warned else Sleep(n, row.action, row.command, row.timeout)
    )
    return CompletedAction(action, now - ago, ok or warned, "seen", now - ago - 1)


drawn_results: st.SearchStrategy[list[DrawnResult]] = st.lists(
    st.tuples(st.integers(0, 2), whole(0, 7200), st.booleans(), st.sampled_from([True, True, False])),
    max_size=2,
)
clients_readings = st.sampled_from([(2.0, None)] * 6 + [(0.0, "no carrier"), (900.0, None)])
no_check_result: list[tuple[str | None, str | None]] = [(None, None)] * 4
checks = st.dictionaries(
    st.sampled_from(["users", "nfs"]),
    st.sampled_from([*no_check_result, ("busy", None), (None, "no such file")]),
    max_size=2,
)
arbitrary_facts = st.tuples(
    st.dictionaries(st.integers(1, 9), fact_draws, max_size=4), clients_readings, checks
)
_idle_facts: tuple[
    dict[int, AtTime[Fact]], tuple[float, str | None], dict[str, tuple[str | None, str | None]]
] = (
    {1: _silent(10, 1000)},
    (2.0, None),
    {},
)
idle_facts = st.just(_idle_facts)


locks = st.builds(
    Inhibitor,
    what=st.sampled_from(
        [frozenset({"sleep"}), frozenset({"idle", "shutdown"}), frozenset({"handle-lid-switch"})]
    ),
    who=st.just("backup"),
    why=st.just("nightly"),
    mode=st.sampled_from(["block", "block-weak", "delay"]),
    uid=st.just(0),
    pid=st.just(7),
)


class MachineFacts(NamedTuple):
    """What the machine itself says, as distances from now, seconds."""

    locks: tuple[Inhibitor, ...] = ()
    key_press_age: float | None = None
    timers: tuple[tuple[float | None, float | None], ...] = ()
    departure: tuple[float, str] | None = None
    unavailable_source: SourceId | None = None


machine_facts = st.builds(
    MachineFacts,
    locks=st.lists(locks, max_size=2).map(tuple),
    key_press_age=st.none() | whole(0, 3600),
    timers=timer_facts,
    departure=st.none() | st.tuples(whole(0, 1200), st.sampled_from(["sleep", "shutdown"])),
    unavailable_source=st.sampled_from([None, None, None, LOGIND, TIMERS, NETWORK_CARDS]),
)


def _with_machine_facts(snapshot: Snapshot, facts: MachineFacts, now: Moment) -> Snapshot:
    """``snapshot`` with what the machine itself says."""
    unavailable = (
        {facts.unavailable_source: Unavailable(now.mono, "did not answer")}
        if facts.unavailable_source
        else {}
    )
    return changed(
        snapshot,
        sources={**snapshot.sources, **unavailable},
        inhibitors=facts.locks,
        key_press=None
        if facts.key_press_age is None
        else KeyPress(now.mono - facts.key_press_age, "anna on tty1"),
        timers=timers_in(facts.timers, now),
        shutdown=None
        if facts.departure is None
        else ShutdownInProgress(now.mono - facts.departure[0], facts.departure[1]),
    )


def timers_in(facts: Iterable[tuple[float | None, float | None]], now: Moment) -> tuple[SystemdTimer, ...]:
    """Timers that elapse after these seconds, by the wall clock and by CLOCK_MONOTONIC."""
    return tuple(
        SystemdTimer(
            f"t{n}.timer",
            None if wall is None else now.wall.timestamp() + wall,
            None if mono is None else now.mono + mono,
        )
        for n, (wall, mono) in enumerate(facts)
    )


@st.composite
def situations(draw: st.DrawFn) -> tuple[Snapshot, Memory, Options, Moment]:
    """A snapshot, a memory that fits it, a configuration and the moment; mostly with idle facts."""
    now, config = draw(moments), draw(options)
    sights, (ago, unavailable), checked = draw(st.one_of(idle_facts, idle_facts, idle_facts, arbitrary_facts))
    snapshot = make_snapshot(
        {n: make(now.mono) for n, make in sights.items()},
        at=now.mono,
        clients_reading=Unavailable(now.mono, unavailable) if unavailable else Reading(now.mono - ago, ()),
    )
    results: list[CompletedAction] = [
        _result(config, drawn, now.mono) for drawn in draw(drawn_results) if config.sleep
    ]
    snapshot = changed(
        snapshot,
        completed_actions={type(result.action): result for result in results},
        checks={
            name: Unavailable(now.mono, why) if why else Reading(now.mono - 1, busy)
            for name, (busy, why) in checked.items()
        },
    )
    snapshot = _with_machine_facts(
        snapshot, draw(st.one_of(*[st.just(MachineFacts())] * 3, machine_facts)), now
    )
    memory = idle_memory(now, draw(_long_ago))
    started, resumed = draw(st.one_of(st.just((None, None)), st.tuples(st.none() | _ago, st.none() | _ago)))
    if started is not None:
        memory = replace(memory, started_at=moment(now.mono - 5 * started, now.slept))
    if resumed is not None:
        memory = replace(memory, resumed_at=now.mono - 5 * resumed)
    return snapshot, memory, config, now


@st.composite
def situations_with_requests(draw: st.DrawFn) -> tuple[Snapshot, Memory, Options, Moment]:
    """As situations(); in half of them a person has requested a sleep."""
    snapshot, memory, config, now = draw(situations())
    over_clients = draw(st.sampled_from([None, None, False, True]))
    if over_clients is not None:
        since = moment(now.mono - draw(_ago), now.slept)
        request = SleepRequest(since, moment(since.mono + 7200, now.slept), over_clients)
        snapshot = changed(snapshot, sleep_request=request)
    return snapshot, memory, config, now


def decide_situation(situation: tuple[Snapshot, Memory, Options, Moment]) -> Decision:
    return decide(*situation)
