"""Reasons: their dates, sources that grow loud, and times that are said alike to their end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy.worlds import T0, moment

from powerd.model import Blind, Memory, Seen
from powerd.policy.times import later
from powerd.policy.why import LOUD_AFTER, Why, blind, dated, day_and_time, trouble

NOW = moment()
MEMORY = Memory.newborn(NOW)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (None, "has not looked yet"),
        (Blind(T0, "no carrier"), "no carrier"),
        (Seen(T0 - 101, ()), "has not looked for too long"),
        (Seen(T0 - 100, ()), None),
        (Seen(T0, ()), None),
    ],
)
def test_which_words_can_be_relied_on(word: Seen[tuple[str, ...]] | Blind | None, said: str | None) -> None:
    assert trouble(word, 100, MEMORY, NOW) == said


def test_none_from_before_a_wake_up() -> None:
    woken = replace(MEMORY, resumed=T0 - 5)
    assert trouble(Seen(T0 - 6, ()), 100, woken, NOW) == "has not looked since the wake-up"
    assert trouble(Seen(T0 - 5, ()), 100, woken, NOW) is None


def test_a_blind_source_grows_loud_and_keeps_its_date() -> None:
    since = moment(T0 - LOUD_AFTER)
    memory = replace(MEMORY, since={("clients", "no carrier"): since})
    why = blind("clients", "no carrier", memory, NOW)
    assert why.text == "still unknown, and the server will not sleep until this is mended: no carrier"
    assert (why.keeps_awake, why.certain) == (True, False)
    assert dated(memory, why, NOW) == since
    louder = replace(memory, since={("clients", why.text): since})
    again = blind("clients", "no carrier", louder, NOW)
    assert (again.text, dated(louder, again, NOW)) == (why.text, since)


def test_another_trouble_is_a_new_one() -> None:
    memory = replace(MEMORY, since={("clients", "no carrier"): moment(T0 - 9999)})
    why = blind("clients", "no permission", memory, NOW)
    assert why.text == "no permission"
    assert dated(memory, why, NOW) == NOW


def test_a_date_that_is_known_from_elsewhere_stands() -> None:
    since = moment(T0 - 7)
    assert dated(MEMORY, Why("anna", "home", since=since), NOW) == since


@pytest.mark.parametrize(
    ("hours", "text"),
    [(1, "Sat 22:00"), (4, "Sun 01:00"), (24, "Sun 22:00"), (143, "Fri 21:00"), (144, "2026-04-03 22:00")],
)
def test_a_time_is_said_with_its_day(hours: float, text: str) -> None:
    """The clocks change in between."""
    now = moment()
    assert day_and_time(later(now, hours * 3600), now) == text


def test_a_time_is_said_alike_the_evening_before_and_an_hour_ahead() -> None:
    at = later(moment(), 9 * 3600)
    assert {day_and_time(at, moment(T0 + hours * 3600)) for hours in range(9)} == {"Sun 07:00"}
