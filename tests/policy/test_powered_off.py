"""What the storm guard knows of wake-ups outlives a power-off."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from policy.worlds import BERLIN

from powerd.model import Cause, Moment, Unrest, Wake
from powerd.policy.powered_off import document, revive
from powerd.policy.unrest import MANY, PAUSE_FIRST, PAUSE_MOST

EVENING = datetime(2026, 6, 1, 22, tzinfo=BERLIN)


def up(minutes: float, seconds: float = 30.0) -> Moment:
    """So long after boot, in a boot that began so many minutes after the evening did."""
    return Moment(seconds, 0.0, EVENING + timedelta(minutes=minutes, seconds=seconds))


def off(unrest: Unrest, minutes: float, wake: Wake | None = None, boot: str = "a") -> Any:  # noqa: ANN401 - as JSON has it
    """Powered off so many minutes after the evening began, in a boot that began with it; and stored."""
    return json.loads(json.dumps(document(unrest, wake, boot, up(0, minutes * 60))))


def cycle(unrest: Unrest, boots: int, every: float = 20.0) -> Unrest:
    """Booted so often, with nobody there, and off again ten minutes before the next."""
    for n in range(boots):
        begun = up(n * every)
        end = Moment(begun.mono + (every - 10) * 60, 0.0, begun.wall + timedelta(minutes=every - 10))
        kept = json.loads(json.dumps(document(unrest, None, str(n), end)))
        unrest = revive(kept, str(n + 1), up((n + 1) * every))
    return unrest


def test_the_first_boot_that_is_known_is_not_in_vain() -> None:
    unrest = cycle(Unrest(), 1)
    assert unrest == Unrest(woke=30.0)


def test_three_boots_in_vain_are_a_storm() -> None:
    assert cycle(Unrest(), 3).until is None
    unrest = cycle(Unrest(), 4)
    assert unrest.until == 30.0 + PAUSE_FIRST
    assert [cause for _, cause in unrest.empty] == [Cause.UNKNOWN] * MANY
    assert [at for at, _ in unrest.empty] == pytest.approx([30 - 3600, 30 - 2400, 30 - 1200])
    assert cycle(Unrest(), 4, every=31.0).until is None, "too far apart"


def test_a_storm_after_a_storm_is_waited_out_for_longer() -> None:
    assert cycle(cycle(Unrest(), 4), 1).pause == 2 * PAUSE_FIRST


def test_somebody_who_was_there_ends_it() -> None:
    unrest = replace(cycle(Unrest(), 3), needed=True, empty=())
    assert revive(off(unrest, 10), "b", up(20)).empty == ()


@pytest.mark.parametrize(
    ("minutes", "cause"),
    [(28, Cause.UNKNOWN), (29.5, Cause.ALARM), (31, Cause.ALARM), (39, Cause.ALARM), (41, Cause.UNKNOWN)],
)
def test_a_boot_at_the_time_of_the_alarm_is_due_to_it(minutes: float, cause: Cause) -> None:
    kept = off(Unrest(), 10, Wake(up(30, 0.0), "backup.timer"))
    assert revive(kept, "b", up(minutes)).cause is cause


@pytest.mark.parametrize("boot", ["", "a"])
def test_only_another_boot_is_the_end_of_a_power_off(boot: str) -> None:
    assert revive(off(Unrest(), 10), boot, up(20)) == Unrest()


def test_a_clock_that_has_gone_back_tells_nothing() -> None:
    assert revive(off(Unrest(), 10), "b", up(-60)) == Unrest()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(Cause),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=3), each, max_size=2),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["boot", "off", "alarm", "woke", "needed", "cause", "empty", "storms"]), anything
    )
)
@example({"empty": ["at ten"]})
def test_a_garbled_document_is_no_trouble(twist: dict[str, object]) -> None:
    kept = off(replace(cycle(Unrest(), 3), cause=Cause.NETWORK), 10) | twist
    unrest = revive(kept, "b", up(20))
    assert 0 <= unrest.storms <= MANY
    assert unrest.pause <= PAUSE_MOST
    assert unrest.woke in {None, 30.0}
