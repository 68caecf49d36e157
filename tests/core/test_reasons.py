"""Reasons: their dates, sources that grow loud, and times that are said alike to their end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import T0, moment

from powerd.core.reasons import (
    ESCALATE_AFTER,
    UndatedReason,
    day_and_time,
    reason_since,
    reason_unreliable,
    unavailable_reason,
)
from powerd.core.snapshot import Memory
from powerd.core.time import Reading, Unavailable, add_seconds

NOW = moment()
MEMORY = Memory.initial(NOW)


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (None, "has not been polled yet"),
        (Unavailable(T0, "no carrier"), "no carrier"),
        (Reading(T0 - 101, ()), "has not been polled for too long"),
        (Reading(T0 - 100, ()), None),
        (Reading(T0, ()), None),
    ],
)
def test_which_words_can_be_relied_on(
    reading: Reading[tuple[str, ...]] | Unavailable | None, text: str | None
) -> None:
    assert reason_unreliable(reading, 100, MEMORY, NOW) == text


def test_none_from_before_a_wake_up() -> None:
    woken = replace(MEMORY, resumed_at=T0 - 5)
    assert "since the wake-up" in str(reason_unreliable(Reading(T0 - 6, ()), 100, woken, NOW))
    assert reason_unreliable(Reading(T0 - 5, ()), 100, woken, NOW) is None


def test_a_failed_source_rises_in_severity_and_keeps_its_date() -> None:
    since = moment(T0 - ESCALATE_AFTER)
    memory = replace(MEMORY, reasons_since={("clients", "no carrier"): since})
    why = unavailable_reason("clients", "no carrier", memory, NOW)
    assert why.text.startswith("still unknown")
    assert why.text.endswith(": no carrier")
    assert (why.blocks_sleep, why.confirmed) == (True, False)
    assert reason_since(memory, why, NOW) == since
    louder = replace(memory, reasons_since={("clients", why.text): since})
    again = unavailable_reason("clients", "no carrier", louder, NOW)
    assert (again.text, reason_since(louder, again, NOW)) == (why.text, since)


def test_another_error_has_a_new_date() -> None:
    memory = replace(MEMORY, reasons_since={("clients", "no carrier"): moment(T0 - 9999)})
    why = unavailable_reason("clients", "no permission", memory, NOW)
    assert why.text == "no permission"
    assert reason_since(memory, why, NOW) == NOW


def test_a_date_that_is_known_from_elsewhere_stands() -> None:
    since = moment(T0 - 7)
    assert reason_since(MEMORY, UndatedReason("anna", "home", since=since), NOW) == since


@pytest.mark.parametrize(
    ("hours", "text"),
    [(1, "Sat 22:00"), (4, "Sun 01:00"), (24, "Sun 22:00"), (143, "Fri 21:00"), (144, "2026-04-03 22:00")],
)
def test_a_time_is_formatted_with_its_day(hours: float, text: str) -> None:
    """The clocks change in between."""
    now = moment()
    assert day_and_time(add_seconds(now, hours * 3600), now) == text


def test_a_time_has_one_format_the_evening_before_and_an_hour_ahead() -> None:
    at = add_seconds(moment(), 9 * 3600)
    assert {day_and_time(at, moment(T0 + hours * 3600)) for hours in range(9)} == {"Sun 07:00"}
