from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from fakes.unused_ports import UnusedPorts

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.poller import PollDepth
from powerd.core.state import PollResult
from powerd.core.time import Reading, Unavailable
from powerd.linux.values import HostError
from powerd.power.model import LOGIND, POLL_INTERVALS, Inhibitor, KeyPress, LogindFacts
from powerd.power.source import RETRY_INTERVAL, LogindSource
from powerd.simulation.clock import StoppedClock
from powerd.simulation.virtual_loop import run

BACKUP = Inhibitor(frozenset({"sleep"}), "backup", "nightly", "block", 0, 7)
MODEM = Inhibitor(frozenset({"sleep"}), "ModemManager", "goes offline", "delay", 0, 8)
PRESS = KeyPress(12.0, "anna on pts/0")
RULES = '[[sleep]]\naction = "suspend"\n[[sleep]]\naction = "hibernate"\n'


@dataclass
class FakeLogind(UnusedPorts):
    """A logind as the test wants it."""

    locks: tuple[Inhibitor, ...] = ()
    answers: dict[str, str] = field(default_factory=dict)
    refusal: str | None = None
    asked: list[str] = field(default_factory=list)
    key_press: KeyPress | None = PRESS

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        if self.refusal is not None:
            raise HostError(self.refusal)
        return self.locks

    async def can_sleep(self, action: str) -> str:
        self.asked.append(action)
        return self.answers.get(action, "yes")

    async def last_key_press(self) -> KeyPress | None:
        return self.key_press


def source(logind: FakeLogind, text: str = RULES) -> LogindSource:
    return LogindSource(logind, StoppedClock(), lambda: options(text))


def options(text: str) -> Options:
    return parse(text.encode(), "test")


def poll(source: LogindSource, extent: PollDepth = PollDepth.ROUTINE) -> PollResult:
    async def once() -> PollResult:
        return await source.poll(extent)

    return run(once())


def warnings(facts: PollResult) -> tuple[str, ...]:
    assert isinstance(facts.status, Reading)
    return facts.status.value


def test_it_reports_locks_and_the_last_key_press() -> None:
    facts = poll(source(FakeLogind((BACKUP, MODEM))))
    assert facts == PollResult(Reading(0.0, ()), (LogindFacts((BACKUP, MODEM), PRESS),))


def test_a_key_press_is_reported_until_there_is_a_later_one() -> None:
    logind = FakeLogind()
    polled = source(logind)
    assert poll(polled).part(LogindFacts).key_press == PRESS
    logind.key_press = None
    assert poll(polled).part(LogindFacts).key_press == PRESS


def test_released_locks_are_reported_too() -> None:
    assert poll(source(FakeLogind())).part(LogindFacts).inhibitors == ()


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        ("na", "this machine does not support it; choose another action"),
        ("no", "this machine does not support it; choose another action"),
        ("challenge", "this user may not; install the polkit rule"),
    ],
)
def test_an_action_that_logind_cannot_do_is_a_warning_beforehand(answer: str, remedy: str) -> None:
    facts = poll(source(FakeLogind(answers={"hibernate": answer})))
    expected = f'sleep rule 2 will not work: logind answers "{answer}" for hibernate, {remedy}'
    assert warnings(facts) == (expected,)


def test_without_logind_each_rule_that_needs_it_is_a_warning_beforehand() -> None:
    (first, second) = warnings(poll(source(FakeLogind(answers={"suspend": "", "hibernate": ""}))))
    assert "cannot suspend" in first
    assert "cannot hibernate" in second


def test_each_action_is_asked_for_until_it_can() -> None:
    logind = FakeLogind(answers={"hibernate": "na"})
    both = source(logind, RULES + RULES + '[[sleep]]\naction = "command"\ncommand = ["/bin/true"]\n')
    poll(both)
    assert logind.asked == ["suspend", "hibernate"], "once each, and nobody can say of a command"
    poll(both, PollDepth.BEFORE_SLEEP)
    assert logind.asked == ["suspend", "hibernate", "hibernate"]
    logind.answers.clear()  # somebody has made a swap file
    assert warnings(poll(both)) == ()
    poll(both)
    assert len(logind.asked) == 4


def test_while_anything_is_blocked_the_answer_would_be_no_to_all() -> None:
    logind = FakeLogind((BACKUP,), answers={"suspend": "challenge"})
    watcher = source(logind)
    assert warnings(poll(watcher)) == ()
    logind.locks, logind.answers = (MODEM,), {}
    assert warnings(poll(watcher)) == ()
    assert logind.asked == ["suspend", "hibernate"]


def test_other_rules_after_a_reload_are_asked_for() -> None:
    logind = FakeLogind(answers={"poweroff": "no"})
    watcher = source(logind)
    assert warnings(poll(watcher)) == ()
    watcher._options = lambda: options('[[sleep]]\naction = "poweroff"\n')  # noqa: SLF001 - a reload
    assert len(warnings(poll(watcher))) == 1


def test_it_polls_seldom_and_soon_again_after_a_failure() -> None:
    logind = FakeLogind(refusal="systemd-logind did not answer within 20 s")
    watcher = source(logind)
    assert watcher.poll_interval == POLL_INTERVALS[LOGIND]
    with pytest.raises(HostError, match="did not answer"):
        poll(watcher)
    assert watcher.poll_interval == RETRY_INTERVAL
    logind.refusal = None
    poll(watcher)
    assert watcher.poll_interval == POLL_INTERVALS[LOGIND]


def test_a_reading_is_dated_by_the_start_of_its_poll() -> None:
    assert not isinstance(poll(source(FakeLogind())).status, Unavailable)
    assert poll(source(FakeLogind())).status.at == 0.0
