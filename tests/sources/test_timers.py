from __future__ import annotations

from collections.abc import Sequence

import pytest
from scripted import BEGIN, Stopped

from powerd.board import Facts
from powerd.config import Options, parse
from powerd.host.values import HostError
from powerd.model import Seen, Timer
from powerd.rehearse.loop import run
from powerd.sources.runner import Extent
from powerd.sources.timers import Timers

WANTED = '[wake]\ntimers = ["auto", "backup.timer"]\n'


class Systemd:
    """Tells of its timers, as the test wants it."""

    def __init__(self, *timers: Timer, refusal: str | None = None) -> None:
        self.timers_ = timers
        self.refusal = refusal
        self.asked: list[tuple[str, ...]] = []

    async def timers(self, units: Sequence[str]) -> tuple[Timer, ...]:
        self.asked.append(tuple(units))
        if self.refusal is not None:
            raise HostError(self.refusal)
        return self.timers_


def options(text: str = WANTED) -> Options:
    return parse(text.encode(), "test")


def source(systemd: Systemd, text: str = WANTED) -> Timers:
    return Timers(systemd, Stopped(), options(text))


def look(source: Timers) -> Facts:
    async def once() -> Facts:
        return await source.look(Extent.ROUND)

    return run(once())


def test_it_asks_for_those_that_are_configured() -> None:
    timer = Timer("backup.timer", wall=BEGIN + 60)
    systemd = Systemd(timer)
    assert look(source(systemd)) == Facts(Seen(0.0, ()), timers=(timer,))
    assert systemd.asked == [("auto", "backup.timer")]


def test_where_none_is_configured_nobody_is_asked() -> None:
    systemd = Systemd(Timer("backup.timer", wall=BEGIN + 60))
    watcher = source(systemd)
    look(watcher)
    watcher.options = options("")
    assert look(watcher) == Facts(Seen(0.0, ()), timers=()), "and what was known before is taken back"
    assert len(systemd.asked) == 1


@pytest.mark.parametrize(
    ("timers", "every"),
    [
        ((), 900),
        ((Timer("a.timer"),), 900),
        ((Timer("a.timer", wall=BEGIN + 7200),), 900),
        ((Timer("a.timer", wall=BEGIN + 300),), 301),
        ((Timer("a.timer", wall=BEGIN + 300, mono=200.0),), 201),
        ((Timer("a.timer", wall=BEGIN + 300), Timer("b.timer", mono=100.0)), 101),
        ((Timer("a.timer", wall=BEGIN + 2),), 60),
        ((Timer("a.timer", wall=BEGIN - 300, mono=-1.0),), 900),
    ],
)
def test_it_looks_again_when_the_next_has_elapsed(timers: tuple[Timer, ...], every: float) -> None:
    """Else whoever suspends the server just then would find no alarm for the one after."""
    watcher = source(Systemd(*timers))
    look(watcher)
    assert watcher.every == every


def test_a_timer_that_does_not_exist_is_its_own_reason() -> None:
    watcher = source(Systemd(refusal="there is no timer backup.timer"))
    watcher_before = watcher.every
    with pytest.raises(HostError, match="there is no timer"):
        look(watcher)
    assert watcher.every == watcher_before == 60, "somebody may be about to mend it"


@pytest.mark.parametrize(
    ("timer", "warned"),
    [
        (Timer("a.timer", mono=100.0, pauses=True), True),
        (Timer("a.timer", wall=BEGIN + 5, pauses=True), False),
        (Timer("a.timer", mono=100.0), False),
    ],
)
def test_one_that_stands_still_while_the_server_sleeps_is_a_warning(*, timer: Timer, warned: bool) -> None:
    facts = look(source(Systemd(timer)))
    said = (
        "a.timer does not come nearer while the server sleeps, so it is not woken for it; give it OnCalendar="
    )
    assert isinstance(facts.word, Seen)
    assert facts.word.value == ((said,) if warned else ())
