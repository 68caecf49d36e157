from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from scripted import Stopped

from powerd.board import Facts
from powerd.config import Options, parse
from powerd.host.values import HostError
from powerd.model import LOGIND, RHYTHM, Blind, Inhibitor, KeyPress, Seen
from powerd.rehearse.loop import run
from powerd.sources.inhibitors import SOON, Inhibitors
from powerd.sources.runner import Extent

BACKUP = Inhibitor(frozenset({"sleep"}), "backup", "nightly", "block", 0, 7)
MODEM = Inhibitor(frozenset({"sleep"}), "ModemManager", "goes offline", "delay", 0, 8)
PRESS = KeyPress(12.0, "anna on pts/0")
RULES = '[[sleep]]\naction = "suspend"\n[[sleep]]\naction = "hibernate"\n'


@dataclass
class Desk:
    """A logind as the test wants it."""

    locks: tuple[Inhibitor, ...] = ()
    answers: dict[str, str] = field(default_factory=dict)
    refusal: str | None = None
    asked: list[str] = field(default_factory=list)

    async def inhibitors(self) -> tuple[Inhibitor, ...]:
        if self.refusal is not None:
            raise HostError(self.refusal)
        return self.locks

    async def able(self, action: str) -> str:
        self.asked.append(action)
        return self.answers.get(action, "yes")

    async def key_press(self) -> KeyPress | None:
        return PRESS


def source(desk: Desk, text: str = RULES) -> Inhibitors:
    return Inhibitors(desk, Stopped(), options(text))


def options(text: str) -> Options:
    return parse(text.encode(), "test")


def look(source: Inhibitors, extent: Extent = Extent.ROUND) -> Facts:
    async def once() -> Facts:
        return await source.look(extent)

    return run(once())


def warnings(facts: Facts) -> tuple[str, ...]:
    assert isinstance(facts.word, Seen)
    return facts.word.value


def test_it_tells_of_locks_and_of_the_last_key_press() -> None:
    facts = look(source(Desk((BACKUP, MODEM))))
    assert facts == Facts(Seen(0.0, ()), inhibitors=(BACKUP, MODEM), key_press=PRESS)


def test_what_has_been_let_go_is_told_too() -> None:
    assert look(source(Desk())).inhibitors == ()


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        ("na", "this machine cannot do it; choose another action"),
        ("no", "this machine cannot do it; choose another action"),
        ("challenge", "this user may not; install the polkit rule"),
    ],
)
def test_an_action_that_logind_cannot_do_is_a_warning_before_the_night(answer: str, remedy: str) -> None:
    facts = look(source(Desk(answers={"hibernate": answer})))
    said = f'sleep rule 2 will not work: logind answers "{answer}" for hibernate, {remedy}'
    assert warnings(facts) == (said,)


def test_each_action_is_asked_for_until_it_can() -> None:
    desk = Desk(answers={"hibernate": "na"})
    both = source(desk, RULES + RULES + '[[sleep]]\naction = "command"\ncommand = ["/bin/true"]\n')
    look(both)
    assert desk.asked == ["suspend", "hibernate"], "once each, and nobody can say of a command"
    look(both, Extent.CLOSE)
    assert desk.asked == ["suspend", "hibernate", "hibernate"]
    desk.answers.clear()  # somebody has made a swap file
    assert warnings(look(both)) == ()
    look(both)
    assert len(desk.asked) == 4


def test_while_anything_is_blocked_the_answer_would_be_no_to_all() -> None:
    desk = Desk((BACKUP,), answers={"suspend": "challenge"})
    watcher = source(desk)
    assert warnings(look(watcher)) == ()
    desk.locks, desk.answers = (MODEM,), {}
    assert warnings(look(watcher)) == ()
    assert desk.asked == ["suspend", "hibernate"]


def test_other_rules_after_a_reload_are_asked_for() -> None:
    desk = Desk(answers={"poweroff": "no"})
    watcher = source(desk)
    assert warnings(look(watcher)) == ()
    watcher.options = options('[[sleep]]\naction = "poweroff"\n')
    assert len(warnings(look(watcher))) == 1


def test_it_looks_seldom_and_soon_again_after_a_failure() -> None:
    desk = Desk(refusal="systemd-logind did not answer within 20 s")
    watcher = source(desk)
    assert watcher.every == RHYTHM[LOGIND]
    with pytest.raises(HostError, match="did not answer"):
        look(watcher)
    assert watcher.every == SOON
    desk.refusal = None
    look(watcher)
    assert watcher.every == RHYTHM[LOGIND]


def test_its_word_is_as_old_as_the_beginning_of_the_look() -> None:
    assert not isinstance(look(source(Desk())).word, Blind)
    assert look(source(Desk())).word.at == 0.0
