"""A month of simulated homes with the whole daemon; ``make households`` runs twelve homes for a year."""

from __future__ import annotations

import pytest

from powerd.simulation.comparison import autosuspend, cron_line, night_window
from powerd.simulation.homes import KINDS, make_home
from powerd.simulation.household import DEFAULT, IDLE_FOR, NIGHT, live, score
from powerd.simulation.residents import HOUR, MINUTE
from powerd.simulation.timeline import Timeline


@pytest.mark.parametrize(
    ("kind", "days"),
    [("students", 3), ("flight mode", 30), ("works at home", 30), ("guests", 30)],
)
@pytest.mark.long
def test_no_sleep_begins_while_a_device_is_there(kind: str, days: int) -> None:
    """Nothing has been learned in the first days; a month has every kind of day."""
    home = make_home(kind, days=days)
    result = score(home, live(home, DEFAULT), home.there, home.period.whole, IDLE_FOR)
    assert result.slept > 0 or not result.free
    assert result.while_there == result.while_working == []


@pytest.mark.long
def test_at_night_no_sleep_begins_on_a_device_in_use() -> None:
    home = make_home("couple", days=3)
    sleeps = live(home, NIGHT)
    result = score(home, sleeps, home.used, night_window(home), IDLE_FOR)
    assert result.slept / result.free > 0.9, "although the phones are present"
    assert result.while_used == result.while_working == []


def test_a_job_of_the_server_delays_the_sleep() -> None:
    """Nobody is there from noon on; by the limit of the first day the server would sleep at 13:06."""
    home = make_home("alone", days=0.2)
    ((noon, _),) = home.period.whole
    home.work = Timeline([(noon + 0.5 * HOUR, noon + 3 * HOUR)])
    (first, *_), *_ = live(home, DEFAULT)
    assert noon + 3 * HOUR + IDLE_FOR <= first <= noon + 3 * HOUR + IDLE_FOR + 4 * MINUTE


def test_simpler_programs_sleep_on_dozing_phones() -> None:
    """The homes are not easy: a single echo request, and five minutes of silence, do not suffice."""
    home = make_home("couple", days=28)
    for sleeps in (cron_line(home), autosuspend(home, 300)):
        result = score(home, list(sleeps), home.there, home.period.whole, 0)
        assert len(result.while_there) > 50


@pytest.mark.parametrize("kind", KINDS)
def test_a_home_is_the_same_for_the_same_seed(kind: str) -> None:
    one, same, other = (make_home(kind, days=5, seed=seed) for seed in (1, 1, 2))
    assert [list(device.icmp) for device in one.devices] == [list(device.icmp) for device in same.devices]
    assert list(one.there) != list(other.there) or list(one.used) != list(other.used)


@pytest.mark.parametrize("kind", KINDS)
def test_the_true_state_is_consistent(kind: str) -> None:
    """What is used is there; what answers ICMP is there; a card may answer ARP for a PC that is not."""
    home = make_home(kind, days=10)
    for device in home.devices:
        assert (device.used - device.there).seconds() == 0
        assert (device.icmp - device.there).seconds() == 0
        assert (device.traffic - device.used).seconds() == 0
