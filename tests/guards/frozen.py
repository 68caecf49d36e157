"""Writes the decisions of this tree over generated snapshots and simulated weeks, one JSON line each.

Two trees that write the same file decide the same. Names of classes and of enumeration members do not get
into the file, nor does the text of any message: the tables below are the only places that say how a thing is
called in it.

    PYTHONPATH=.:tests python tests/guards/frozen.py OUTPUT.jsonl.gz [STREAM ...]

Run it before and after a change that must not change a decision, and tests/guards/compare.py on both files.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
from core import test_decide_weeks
from core.snapshot_strategies import (
    BERLIN,
    CLIENTS,
    T0,
    client,
    make_snapshot,
    silent,
    situations,
)
from disks.policy import test_laws as test_disk_laws
from disks.policy.simulation import (
    DAY,
    HOUR,
    DiskSimulation,
)
from facts import CheckFacts, changed, decide, disk_results, new_snapshot
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import Phase as HypothesisPhase
from hypothesis import strategies as st
from hypothesis.internal.conjecture import engine as hypothesis_engine
from hypothesis.internal.conjecture import providers
from simulation import (
    disk_server,
    test_smart_week,
    test_wake_ups,
    test_week,
)
from simulation.household import (
    NIGHTLY,
    daily,
    person,
    simulate,
    sundays_at_four,
    until_hour,
)
from smart import test_policy_laws
from smart.test_policy_laws import SmartSimulation

from powerd.activity.model import ACTIVITY
from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.actions import (
    Action,
    CancelWarning,
    CompletedAction,
    Sleep,
    WarnUsers,
)
from powerd.core.snapshot import Decision, Memory, Snapshot, Status
from powerd.core.time import (
    Moment,
    Reading,
    Unavailable,
    add_seconds,
)
from powerd.disks.model import (
    CheckPowerMode,
    DiskAction,
    FailureCause,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.disks.state import DisksReport, DiskState
from powerd.power.model import (
    LOGIND,
    POLL_INTERVALS,
    TIMERS,
    Inhibitor,
    KeyPress,
    LogindFacts,
    PowerReport,
    ShutdownInProgress,
    SystemdTimer,
    TimerFacts,
)
from powerd.presence.model import Observation, PresenceFacts
from powerd.requests.model import (
    KeepAwake,
    KeepAwakeId,
)
from powerd.simulation.drive import (
    DriveSimulator,
    disk,
)
from powerd.simulation.rtc import SimulatedRtc
from powerd.simulation.world import Household
from powerd.smart.actions import (
    CheckHealth,
    StartTest,
)
from powerd.smart.model import SmartFacts, SmartRecord, SmartReports

# --- How things are called in the file: the only tables to keep when something gets another name ---

ACTIONS: dict[type[Action], str] = {
    WarnUsers: "warn",
    CancelWarning: "call-off",
    Sleep: "sleep",
    CheckPowerMode: "ask-power",
    SpinDown: "spin-down",
    SetStandbyTimer: "set-timer",
    SetApmLevel: "set-apm",
    ReadPowerFeatures: "read-drive",
    CheckHealth: "check-health",
    StartTest: "start-test",
}
STATES: dict[DiskState, str] = {
    DiskState.UNKNOWN: "unknown",
    DiskState.ACTIVE: "active",
    DiskState.SPINNING_DOWN: "spinning-down",
    DiskState.STANDBY: "standby",
    DiskState.SLEEPING: "sleeping",
    DiskState.SUSPENDED: "suspended",
    DiskState.UNRESPONSIVE: "hung",
    DiskState.UNSUPPORTED: "unsupported",
    DiskState.EXCLUDED: "excluded",
}
SUBJECTS: dict[str, str] = {}
"""New subject of a reason: the subject that it had at first."""
PHASES: dict[str, str] = {}
"""New phase: the phase that it was at first."""
KINDS: dict[str, str] = {}
"""New kind of a finding: the kind that it was at first."""


def described_action(action: Action) -> list[object]:  # noqa: C901 - one row for each kind
    match action:
        case WarnUsers():
            about: tuple[object, ...] = (action.rule, action.sleep_action, action.seconds)
        case CancelWarning():
            about = (action.rule, action.sleep_action)
        case Sleep():
            about = (action.rule, action.sleep_action)
        case CheckPowerMode():
            about = (action.disk,)
        case SpinDown():
            about = (action.disk, action.method)
        case SetStandbyTimer():
            about = (action.disk, action.seconds)
        case SetApmLevel():
            about = (action.disk, action.level)
        case ReadPowerFeatures():
            about = (action.disk,)
        case CheckHealth():
            about = (action.disk, action.may_wake)
        case StartTest():
            about = (action.disk, action.test)
    return [ACTIONS[type(action)], *about]


def described(decision: Decision, now: Moment) -> dict[str, object]:
    """What a decision is, by names that last."""

    def ahead(mono: float | None) -> float | str | None:
        if mono is None:
            return None
        return f"{mono}" if mono in (float("inf"), float("-inf")) else _rounded(mono - now.mono)

    row: dict[str, object] = {
        "phase": PHASES.get(decision.phase, decision.phase),
        "actions": [described_action(action) for action in decision.actions],
        "blockers": [
            [SUBJECTS.get(reason.subject, reason.subject), int(reason.blocks_sleep)]
            for reason in decision.reasons
        ],
        "next": ahead(decision.next_decision_at),
    }
    if decision.needs_fresh_readings:
        row["closely"] = 1
    plan = decision.planned_sleep
    if plan is not None:
        row["sleep"] = [plan.rule, plan.sleep_action, ahead(plan.at.mono)]
    wake_time = decision.part(PowerReport).wake_time
    if wake_time is not None:
        row["alarm"] = _rounded(wake_time.at.mono + wake_time.at.slept - now.mono - now.slept)
    if decision.part(DisksReport).disks:
        row["disks"] = [
            [report.disk.id, STATES[report.state], ahead(report.spin_down_at), ahead(report.idle_since)]
            for report in decision.part(DisksReport).disks
        ]
        row["next_disks"] = ahead(decision.part(DisksReport).next_disk_poll_at)
    if decision.part(DisksReport).watched_groups:
        row["guards"] = [
            [guard.group, list(guard.disks)] for guard in decision.part(DisksReport).watched_groups
        ]
    if decision.part(SmartReports).smart:
        row["smart"] = [
            [
                name,
                None
                if report.next_check_at is None
                else _rounded((report.next_check_at - now.wall).total_seconds()),
                int(report.testing),
                [
                    [KINDS.get(finding.kind, finding.kind), int(finding.severity)]
                    for finding in report.findings
                ],
            ]
            for name, report in decision.part(SmartReports).smart.items()
        ]
    return row


def _rounded(seconds: float) -> float:
    return round(seconds, 3) + 0.0  # no -0.0


# --- Draws that depend on the strategies only ---

StreamLine = tuple[str, float | None, dict[str, object]]
Add = Callable[[str, float | None, Decision, Moment], None]

# Hypothesis would else draw numbers that occur in the source text, and copy parts of an example to others
# of the same label.
providers._get_local_constants = lambda: providers.Constants()  # type: ignore[attr-defined] # noqa: PLW0108, SLF001
hypothesis_engine.ConjectureRunner.generate_mutations_from = lambda _self, _data: None  # type: ignore[assignment, method-assign]


def drawn(strategy: st.SearchStrategy[Any], examples: int, number: int) -> list[Any]:
    """The same examples each time; they are fresh objects, and may be lived in."""
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[HypothesisPhase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(example: Any) -> None:  # noqa: ANN401
        found.append(example)

    draw()
    return found


# --- Single decisions ---


def snapshots(add: Add) -> None:
    """The situations of the laws of decide(), with all that the laws do to them."""
    for n, (snapshot, memory, options, now) in enumerate(drawn(situations(), 1200, 1)):
        first = decide(snapshot, memory, options, now)
        add(f"{n}", None, first, now)
        add(f"{n} again", None, decide(snapshot, first.memory, options, now), now)
        started = replace(snapshot, running_actions=frozenset(first.actions))
        add(f"{n} started", None, decide(started, first.memory, options, now), now)
        for name, other in _twists(snapshot, options, now):
            add(f"{n} {name}", None, decide(other, memory, options, now), now)
        for name, other_options in _other_options(options):
            add(f"{n} {name}", None, decide(snapshot, memory, other_options, now), now)
        for step in (9 * 3600, -9 * 3600):
            stepped = replace(now, wall=now.wall + timedelta(seconds=step))
            add(f"{n} step {step}", None, decide(snapshot, memory, options, stepped), stepped)
        woken = replace(now, slept=now.slept + 600.0, wall=now.wall + timedelta(seconds=600))
        add(f"{n} slept", None, decide(snapshot, memory, options, woken), woken)


def _other_options(options: Options) -> Iterator[tuple[str, Options]]:
    yield "observe", replace(options, mode="observe")
    yield "enforce", replace(options, mode="enforce")
    yield "timers", replace(options, wake=replace(options.wake, timers=("auto",)))


def _twists(snapshot: Snapshot, options: Options, now: Moment) -> Iterator[tuple[str, Snapshot]]:
    sources = snapshot.sources
    yield (
        "clients blind",
        replace(snapshot, sources={**sources, CLIENTS: Unavailable(now.mono, "no carrier")}),
    )
    stale = now.mono - 4 * options.clients.every
    yield "clients stale", replace(snapshot, sources={**sources, CLIENTS: Reading(stale, ())})
    yield "missing", replace(snapshot, sources={})
    yield "empty", changed(snapshot, clients={}, observations={})
    new = client(99)
    known = {**snapshot.part(PresenceFacts).clients, new.id: new}
    yield "client unasked", changed(snapshot, clients=known)
    facts: dict[str, Reading[Observation] | Unavailable] = {
        "client unavailable": Unavailable(now.mono, "could not be asked"),
        "client answers": Reading(now.mono, Observation(last_seen=now.mono)),
    }
    for name, fact in facts.items():
        yield (
            name,
            changed(
                snapshot,
                clients=known,
                observations={**snapshot.part(PresenceFacts).observations, new.id: fact},
            ),
        )
    yield (
        "check blind",
        changed(
            snapshot, checks={**snapshot.part(CheckFacts).checks, "nfs": Unavailable(now.mono, "no file")}
        ),
    )
    yield (
        "check",
        changed(snapshot, checks={**snapshot.part(CheckFacts).checks, "zz": Reading(now.mono, "logged in")}),
    )
    for source in (LOGIND, TIMERS):
        yield (
            f"{source} blind",
            replace(snapshot, sources={**sources, source: Unavailable(now.mono, "did not answer")}),
        )
        stale = now.mono - 3 * POLL_INTERVALS[source] - 1
        yield f"{source} stale", replace(snapshot, sources={**sources, source: Reading(stale, ())})
        others = {name: word for name, word in sources.items() if name != source}
        yield f"{source} missing", replace(snapshot, sources=others)
    for name, until in {"keep": add_seconds(now, 1.0), "hold": None}.items():
        keep = KeepAwake(KeepAwakeId("1"), "backup", now, until)
        yield name, changed(snapshot, keep_awake={keep.id: keep})
    for mode in ("block", "block-weak", "delay"):
        lock = Inhibitor(frozenset({"shutdown"}), "apt", "installs", mode, 0, 9)
        yield f"lock {mode}", changed(snapshot, inhibitors=(*snapshot.part(LogindFacts).inhibitors, lock))
    yield "keys", changed(snapshot, key_press=KeyPress(now.mono - 7.5, "anna on tty1"))
    yield "leaving", changed(snapshot, shutdown=ShutdownInProgress(now.mono, "sleep"))
    for distance in (100.0, 3000.0, 20_000.0):
        wall = SystemdTimer("new.timer", wall=now.wall.timestamp() + distance)
        yield f"wall timer {distance}", changed(snapshot, timers=(*snapshot.part(TimerFacts).timers, wall))
        mono = SystemdTimer("new.timer", mono=now.mono + distance)
        yield f"mono timer {distance}", changed(snapshot, timers=(*snapshot.part(TimerFacts).timers, mono))


# --- Drives ---


def recorded(disks: DiskSimulation, add: Add, key: str) -> None:
    """Add each decision of a simulation."""
    plain = disks.decide_now

    def ask() -> Decision:
        now = disks.now
        decision = plain()
        add(key, disks.at, decision, now)
        return decision

    disks.decide_now = ask  # type: ignore[method-assign] # each decision is added


def drive_weeks(add: Add) -> None:
    """Drives of any kind in three hours, as the laws of the disks draw them."""
    for n, (disks, _) in enumerate(drawn(test_disk_laws.simulations(), 130, 2)):
        if n % 10 == 9:
            disks.options = replace(disks.options, mode="observe")
        if n % 10 == 8:
            disks.action_duration = 0.001
        recorded(disks, add, f"{n}")
        disks.run_until(3 * HOUR)


troubles = st.sampled_from([None, None, (FailureCause.FAILED, "no SMART"), (FailureCause.BUSY, "busy")])


def wards(add: Add) -> None:
    """Checks and self-tests of drives over weeks, as the laws of the health draw them."""
    strategy = st.tuples(
        st.lists(troubles, min_size=1, max_size=3),
        st.sampled_from([None, "md0"]),
        st.booleans(),
        test_policy_laws.events,
    )
    for n, (kinds, group, tests, happens) in enumerate(drawn(strategy, 14, 3)):
        drives = [
            DriveSimulator(disk(m, group=group, array=True), health=test_policy_laws.HEALTHY, check_error=ill)
            for m, ill in enumerate(kinds)
        ]
        ward = SmartSimulation(*drives, config="" if tests else test_policy_laws.NO_SELF_TESTS)
        for m, (hour, what) in enumerate(happens):
            ward.schedule(hour * HOUR, partial(test_policy_laws.happen, ward, what, m))
        recorded(ward, add, f"{n}")
        ward.run_until(16 * DAY)


class SleepyDisks(DiskSimulation):
    """A server with drives that nobody needs: it sleeps too, and wakes up after an hour or by its alarm."""

    completed: dict[type[Action], CompletedAction]
    checked: dict[int, CompletedAction]
    add: Add
    key: str

    def decide_now(self) -> Decision:
        now = self.now
        facts = make_snapshot({1: silent(now.mono, min(T0 - 50_000, now.mono))}, at=now.mono)
        wall = now.wall.timestamp()
        records = {
            name: self.snapshot.part(SmartFacts).smart_history.get(name)
            or SmartRecord(known_since=wall - 3600.0)
            for name in self.drives
        }
        for result in disk_results(self.snapshot).values():
            if id(result) not in self.checked:
                self.checked[id(result)] = result
                assert isinstance(result.action, DiskAction)
                name = result.action.disk
                records[name] = test_policy_laws.updated_record(
                    records[name], result, wall - now.mono + result.ended_at
                )
        snapshot = changed(
            self.snapshot,
            sources=facts.sources,
            clients=facts.part(PresenceFacts).clients,
            observations=facts.part(PresenceFacts).observations,
            completed_actions=dict(self.completed),
            smart_history=records,
        )
        decision = decide(snapshot, self.memory, self.options, now)
        self.add(self.key, self.at, decision, now)
        self.snapshot, self.decision, self.memory = snapshot, decision, decision.memory
        for action in decision.actions:
            if isinstance(action, DiskAction):
                self.snapshot = replace(
                    self.snapshot, running_actions=self.snapshot.running_actions | {action}
                )
                self._commands[action.disk].begin_own(self.drives[action.disk].commands)
                self._running.append((self.at + self.action_duration, action, T0 + self.at))
            else:
                self.completed[type(action)] = CompletedAction(
                    action, now.mono, ok=True, message="done", started_at=now.mono
                )
                if isinstance(action, Sleep):
                    asleep = 3600.0
                    if action.wake_time is not None:
                        at = action.wake_time.at
                        asleep = min(asleep, at.mono + at.slept - now.mono - now.slept)
                    self.sleep(asleep)
        self._running.sort(key=lambda row: row[0])
        return decision


SLEEPY = """
[[sleep]]
idle_for = "25min"
warn = "1min"
[wake]
at = ["06:30"]
[awake]
after_start = "5min"
after_resume = "10min"
[disks]
spin_down_after = "{after}"
method = "{method}"
"""


def sleepy(add: Add) -> None:
    """Drives and sleep rules together."""
    strategy = st.tuples(
        st.lists(test_disk_laws.drives, min_size=1, max_size=2),
        st.sampled_from([None, "md0"]),
        st.sampled_from(["5min", "20min", "1h"]),
        st.sampled_from(["command", "timer", "both"]),
        st.lists(st.tuples(st.integers(0, 10 * 3600), st.integers(0, 1)), max_size=6),
    )
    for n, (kinds, group, after, method, accesses) in enumerate(drawn(strategy, 24, 4)):
        drives = [
            DriveSimulator(disk(m, group=group, array=True, transport=kind.pop("transport")), **kind)
            for m, kind in enumerate(kinds)
        ]
        disks = SleepyDisks(*drives, config=SLEEPY.format(after=after, method=method))
        disks.completed, disks.checked, disks.add, disks.key = {}, {}, add, f"{n}"
        for at, which in accesses:
            drive = drives[which % len(drives)]
            disks.schedule(at, partial(_access, disks, drive))
        disks.run_until(10 * HOUR)


def _access(disks: DiskSimulation, drive: DriveSimulator) -> None:
    drive.access(disks.at)


# --- A year ---


def year(add: Add) -> None:
    """The year of tests/core/test_decide_weeks.py."""
    options: Options = parse(test_decide_weeks.CONFIG, "year")
    begin = datetime(2026, 1, 1, 20, tzinfo=BERLIN).timestamp()
    mono = slept = 0.0
    host = client(1)
    last_seen = silent_since = 0.0
    completed: dict[type[Action], CompletedAction] = {}

    def now() -> Moment:
        return Moment(mono, slept, datetime.fromtimestamp(begin + mono + slept, BERLIN))

    memory = Memory.initial(now())
    while mono + slept < 365 * DAY:
        if test_decide_weeks.at_home(begin + mono + slept):
            last_seen = silent_since = mono
            observation = Observation(last_seen=last_seen)
        else:
            observation = Observation(last_seen=last_seen, silent_since=silent_since)
        snapshot = new_snapshot(
            sources=dict.fromkeys((CLIENTS, ACTIVITY, LOGIND, TIMERS), Reading(mono, ())),
            clients={host.id: host},
            observations={host.id: Reading(mono, observation)},
            completed_actions=dict(completed),
            timers=(SystemdTimer("backup.timer", wall=sundays_at_four(begin + mono + slept)),),
        )
        decision = decide(snapshot, memory, options, now())
        memory = decision.memory
        add("", mono + slept, decision, now())
        for action in decision.actions:
            completed[type(action)] = CompletedAction(action, mono, ok=True, message="done", started_at=mono)
            if isinstance(action, Sleep):
                assert action.wake_time is not None
                slept += action.wake_time.at.mono - mono
        mono = min(
            max(decision.next_decision_at, mono + 1),
            (mono // test_decide_weeks.ROUND + 1) * test_decide_weeks.ROUND,
        )


# --- The whole daemon on virtual time ---

People = list[Any]
Events = list[tuple[float, Callable[[Household], None]]]


def setting(**values: Any) -> Callable[[Household], None]:  # noqa: ANN401
    def set_all(household: Household) -> None:
        for name, value in values.items():
            setattr(household, name, value)

    return set_all


def clock_step(seconds: float) -> Callable[[Household], None]:
    return lambda household: setattr(household.clock, "step", seconds)


def _timed_with(**values: Any) -> Callable[[Household], None]:  # noqa: ANN401
    def prepare(household: Household) -> None:
        test_wake_ups.timed(household)
        setting(**values)(household)

    return prepare


def _weeks() -> Iterator[tuple[str, People, dict[str, Any]]]:
    """The scripts of tests/simulation/test_week.py and test_wakes.py."""
    phone = [person("anna", 11, daily(8, 20))]
    until_seven = setting(network_wake_at=until_hour(7))
    nights = [
        person("anna-phone", 11, daily(7.5, 22)),
        person("ben-laptop", 12, daily(18, 23.75)),
        person("tv", 13, daily(20, 22.5), icmp=False),
        person("guest", 14, test_week.night_owl),
    ]
    yield "nights", nights, {"begin": "2026-06-01 12:00", "days": 7, "prepare": until_seven}
    yield "family", test_week.FAMILY, {"begin": "2026-06-01 12:00", "days": 2}
    for hours in (9, -9):
        step, back = (clock_step(hours * HOUR), clock_step(0.0))
        yield (
            f"step {hours} home",
            [person("anna", 11, daily(7, 23.5))],
            {
                "begin": "2026-06-01 12:00",
                "days": 3,
                "prepare": until_seven,
                "events": [(26, step), (32, back)],
            },
        )
        yield (
            f"step {hours} away",
            [person("anna", 11, daily(0, 9))],
            {
                "begin": "2026-06-01 08:00",
                "days": 0.6,
                "events": [(7, step), (7.4, back)],
            },
        )
    for begin in ("2026-03-28 12:00", "2026-10-24 12:00"):
        yield (
            f"DST {begin}",
            phone,
            {
                "begin": begin,
                "days": 0.9,
                "prepare": setting(network_wake_at=until_hour(6.9)),
            },
        )
    opens = NIGHTLY.replace(b'"23:00-07:00"', b'"02:30-07:00"')
    yield "window", phone, {"begin": "2026-03-28 21:00", "days": 0.5, "config": opens}
    cut, mended = setting(link_up=False), setting(link_up=True)
    yield (
        "cable",
        [person("anna", 11, daily(0, 24))],
        {
            "begin": "2026-06-01 22:00",
            "days": 1,
            "events": [(1, cut), (12, mended)],
        },
    )
    refused = setting(logind_error="backup (pid 7) blocks it: nightly backup")
    yield "refused", phone, {"begin": "2026-06-01 21:00", "days": 0.4, "prepare": refused}
    observe = NIGHTLY.replace(b"enforce", b"observe")
    yield "observe", phone, {"begin": "2026-06-01 21:00", "days": 0.4, "config": observe}
    early = test_wake_ups.EARLY
    yield (
        "mornings",
        phone,
        {
            "begin": "2026-03-25 12:00",
            "days": 7,
            "config": early,
            "prepare": test_wake_ups.timed,
        },
    )
    yield (
        "by hand",
        [person("anna", 11, daily(0, 24))],
        {
            "begin": "2026-06-01 21:00",
            "days": 0.6,
            "config": early,
            "prepare": test_wake_ups.timed,
            "events": [(1, lambda household: household.fall_asleep("by hand"))],
        },
    )
    no_alarm = _timed_with(alarm_error="rtc0 does not keep the alarm that was set")
    yield "no alarm", phone, {"begin": "2026-06-01 21:00", "days": 0.3, "config": early, "prepare": no_alarm}
    yield (
        "no alarm needed",
        phone,
        {"begin": "2026-06-01 21:00", "days": 0.3, "prepare": setting(alarm_error="no")},
    )
    for others in ("05:00", "07:30"):
        at = int(datetime.fromisoformat(f"2026-06-02 {others}").replace(tzinfo=BERLIN).timestamp())
        yield (
            f"alarm {others}",
            phone,
            {
                "begin": "2026-06-01 21:00",
                "days": 0.41,
                "config": early,
                "prepare": _timed_with(rtc=SimulatedRtc(alarm=at)),
            },
        )
    yield (
        "storm",
        phone,
        {
            "begin": "2026-06-01 21:00",
            "days": 0.45,
            "config": test_wake_ups.RESTLESS,
            "prepare": setting(network_wake_at=lambda asleep: asleep + 60),
        },
    )
    lock = Inhibitor(frozenset({"sleep"}), "backup", "nightly backup", "block", 0, 7)
    yield (
        "lock",
        phone,
        {
            "begin": "2026-06-01 21:00",
            "days": 0.3,
            "prepare": setting(other_locks=(lock,)),
            "events": [(4, setting(other_locks=()))],
        },
    )
    three = datetime(2026, 6, 2, 3, tzinfo=BERLIN).timestamp()
    yield (
        "typing",
        phone,
        {
            "begin": "2026-06-01 21:00",
            "days": 0.4,
            "prepare": setting(is_typing=lambda true: true < three),
        },
    )


def _add_all(add: Add, key: str, statuses: list[Status]) -> None:
    for status in statuses:
        add(key, status.now.mono + status.now.slept, status.decision, status.now)


def weeks(add: Add) -> None:
    """Weeks of the whole daemon in a scripted household."""
    for name, people, script in _weeks():
        _add_all(add, name, simulate(people, **script).statuses)


def disk_weeks(add: Add) -> None:
    """Weeks of the whole daemon with four drives."""
    access = disk_server.access
    evenings = [(8 + 24.0 * day, access(0)) for day in range(4)]
    saturday = [(50.0, access(3)), (54.0, access(3))]
    scripts: dict[str, tuple[float, list[Any], bytes]] = {
        "week": (4, evenings + saturday, disk_server.CONFIG),
        "observe": (
            1,
            [(8, access(0)), (9, access(2))],
            disk_server.CONFIG.replace(b'"enforce"', b'"observe"'),
        ),
        "prods": (
            0.5,
            [
                (8.005, lambda nas: nas.passthrough_command(0)),
                (9.005, lambda nas: nas.passthrough_command(2)),
            ],
            disk_server.CONFIG,
        ),
        "polls": (
            0.5,
            [(8 + minute / 60, lambda nas: nas.check_power_mode(0)) for minute in range(60)],
            disk_server.CONFIG,
        ),
    }
    for name, (days, events, config) in scripts.items():
        with tempfile.TemporaryDirectory() as directory:
            _, statuses = disk_server.simulate_disks(Path(directory), days, events, config)
        _add_all(add, name, statuses)


def smart_weeks(add: Add) -> None:
    """Nine days of the whole daemon with checks of four drives, one of them failing."""
    evenings = [(8 + 24.0 * day, disk_server.access(2)) for day in range(9)]
    events: list[Any] = [(0.0, test_smart_week.instruct), *evenings]
    observing = test_smart_week.CONFIG.replace(b'"enforce"', b'"observe"')
    for name, days, config in (("enforce", 9, test_smart_week.CONFIG), ("observe", 2, observing)):
        with tempfile.TemporaryDirectory() as directory:
            _, statuses = disk_server.simulate_disks(Path(directory), days, events, config)
        _add_all(add, name, statuses)


STREAMS: dict[str, Callable[[Add], None]] = {
    "snapshots": snapshots,
    "drive_weeks": drive_weeks,
    "wards": wards,
    "sleepy": sleepy,
    "year": year,
    "weeks": weeks,
    "disk weeks": disk_weeks,
    "smart weeks": smart_weeks,
}


def main(output: str, *names: str) -> None:
    counts: dict[str, int] = {}
    with gzip.open(output, "wt", compresslevel=4) as file:
        file.write(json.dumps({"hypothesis": hypothesis.__version__}) + "\n")
        for stream, run in STREAMS.items():
            if names and stream not in names:
                continue

            def add(
                key: str, at: float | None, decision: Decision, now: Moment, stream: str = stream
            ) -> None:
                counts[stream] = counts.get(stream, 0) + 1
                row: dict[str, object] = {"in": f"{stream} {key}".rstrip()}
                if at is not None:
                    row["t"] = _rounded(at)
                file.write(json.dumps(row | described(decision, now), separators=(",", ":")) + "\n")

            run(add)
            print(f"{stream}: {counts.get(stream, 0)} decisions", file=sys.stderr)
    print(f"in all: {sum(counts.values())} decisions", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
