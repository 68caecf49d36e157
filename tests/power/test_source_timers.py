from __future__ import annotations

from collections.abc import Sequence

import pytest
from fakes.unused_ports import UnusedPorts

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.poller import PollDepth
from powerd.core.state import PollResult
from powerd.core.time import Reading
from powerd.linux.values import HostError
from powerd.power.model import SystemdTimer, TimerFacts
from powerd.power.source import SystemdTimerSource
from powerd.simulation.clock import BEGIN, StoppedClock
from powerd.simulation.virtual_loop import run

WANTED = '[wake]\ntimers = ["auto", "backup.timer"]\n'


class FakeSystemd(UnusedPorts):
    """Returns the timers of the test."""

    def __init__(self, *timers: SystemdTimer, refusal: str | None = None) -> None:
        self.timers_ = timers
        self.refusal = refusal
        self.asked: list[tuple[str, ...]] = []

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        self.asked.append(tuple(units))
        if self.refusal is not None:
            raise HostError(self.refusal)
        return self.timers_


def options(text: str = WANTED) -> Options:
    return parse(text.encode(), "test")


def source(systemd: FakeSystemd, text: str = WANTED) -> SystemdTimerSource:
    return SystemdTimerSource(systemd, StoppedClock(), lambda: options(text))


def poll(source: SystemdTimerSource) -> PollResult:
    async def once() -> PollResult:
        return await source.poll(PollDepth.ROUTINE)

    return run(once())


def test_it_asks_for_those_that_are_configured() -> None:
    timer = SystemdTimer("backup.timer", wall=BEGIN + 60)
    systemd = FakeSystemd(timer)
    assert poll(source(systemd)) == PollResult(Reading(0.0, ()), (TimerFacts((timer,)),))
    assert systemd.asked == [("auto", "backup.timer")]


def test_where_none_is_configured_nobody_is_asked() -> None:
    systemd = FakeSystemd(SystemdTimer("backup.timer", wall=BEGIN + 60))
    watcher = source(systemd)
    poll(watcher)
    watcher._options = lambda: options("")  # noqa: SLF001 - a reload
    assert poll(watcher) == PollResult(Reading(0.0, ()), (TimerFacts(()),)), (
        "and what was known before is taken back"
    )
    assert len(systemd.asked) == 1


@pytest.mark.parametrize(
    ("timers", "every"),
    [
        ((), 900),
        ((SystemdTimer("a.timer"),), 900),
        ((SystemdTimer("a.timer", wall=BEGIN + 7200),), 900),
        ((SystemdTimer("a.timer", wall=BEGIN + 300),), 301),
        ((SystemdTimer("a.timer", wall=BEGIN + 300, mono=200.0),), 201),
        ((SystemdTimer("a.timer", wall=BEGIN + 300), SystemdTimer("b.timer", mono=100.0)), 101),
        ((SystemdTimer("a.timer", wall=BEGIN + 2),), 60),
        ((SystemdTimer("a.timer", wall=BEGIN - 300, mono=-1.0),), 900),
    ],
)
def test_it_polls_again_when_the_next_has_elapsed(timers: tuple[SystemdTimer, ...], every: float) -> None:
    """Otherwise a suspend at this moment would find no alarm for the next elapse."""
    watcher = source(FakeSystemd(*timers))
    poll(watcher)
    assert watcher.poll_interval == every


def test_a_timer_that_does_not_exist_is_its_own_reason() -> None:
    watcher = source(FakeSystemd(refusal="there is no timer backup.timer"))
    watcher_before = watcher.poll_interval
    with pytest.raises(HostError, match="there is no timer"):
        poll(watcher)
    assert watcher.poll_interval == watcher_before == 60, "somebody may be about to mend it"


@pytest.mark.parametrize(
    ("timer", "warned"),
    [
        (SystemdTimer("a.timer", mono=100.0, pauses_in_sleep=True), True),
        (SystemdTimer("a.timer", wall=BEGIN + 5, pauses_in_sleep=True), False),
        (SystemdTimer("a.timer", mono=100.0), False),
    ],
)
def test_a_timer_that_does_not_run_during_sleep_is_a_warning(*, timer: SystemdTimer, warned: bool) -> None:
    facts = poll(source(FakeSystemd(timer)))
    warnings = (
        "a.timer does not advance while the server sleeps, so the server is not woken for it; use OnCalendar="
    )
    assert isinstance(facts.status, Reading)
    assert facts.status.value == ((warnings,) if warned else ())
