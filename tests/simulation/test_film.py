"""A film over TCP, and nobody present: the server stays awake while it plays, and sleeps after its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from simulation.household import HOUR, NIGHTLY, SimulationLog, person, simulate

from powerd.linux.values import TcpConnection
from powerd.simulation.world import Household

IGNORES_TV = NIGHTLY.replace(b"[clients]", b'[clients]\nignore = ["tv"]')
END = 3.0
"""Hours after 22:00, at which the film ends; without it the server sleeps at 23:00."""


def play(peer: str, bytes_at: Callable[[float], float]) -> SimulationLog:
    """From 22:00 to 4:00; ``moved`` gives the bytes of the connection at an hour after 22:00."""

    def connected(moved: float) -> Callable[[Household], None]:
        connection = TcpConnection("10.0.0.253", 8096, peer, 50000, "established", int(moved), 0, 1.0, 1)

        def act(household: Household) -> None:
            household.connections = (connection,)

        return act

    return simulate(
        [person("tv", 13, lambda _: True), person("phone", 14, lambda _: False)],
        begin="2026-06-01 22:00",
        days=0.25,
        config=IGNORES_TV,
        events=[(minute / 60, connected(bytes_at(minute / 60))) for minute in range(360)],
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("peer", "rate"),
    [("10.0.0.13", 1e6), ("192.168.50.7", 1e6), ("10.8.0.2", 16e3)],
    ids=["a TV that is ignored", "a client behind a router", "music by VPN"],
)
def test_a_film_holds_the_sleep_off_until_its_end(peer: str, rate: float) -> None:
    log = play(peer, lambda hours: min(hours, END) * HOUR * rate)
    (slept,) = log.sleep_times()
    end = slept.replace(day=2, hour=1, minute=0, second=0, microsecond=0)
    assert timedelta(minutes=30) <= slept - end <= timedelta(minutes=30 + 5)
    assert any(text.startswith(f"{peer}: ") and "8096" in text for text in log.reasons())


@pytest.mark.parametrize("rate", [0.0, 1400.0], ids=["stale", "monitoring"])
def test_a_connection_without_a_film_holds_nothing_off(rate: float) -> None:
    log = play("192.168.50.7", lambda hours: 5e9 + hours * HOUR * rate)
    assert [at.strftime("%H:%M") for at in log.sleep_times()] == ["23:00"]
