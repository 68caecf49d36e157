from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from powerd.linux.values import HostError
from powerd.presence.leases import hostapd

ONE = "02:11:22:33:44:55\nflags=[AUTH][ASSOC][AUTHORIZED]\naid=1\n"
TWO = "02:11:22:33:44:66\nflags=[AUTH][ASSOC][AUTHORIZED]\naid=2\n"


def exchange(path: Path, answer: Callable[[str], list[str]]) -> str:
    """Query a hostapd at ``path`` that answers each command with these datagrams."""

    async def both() -> str:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as server:
            server.bind(str(path))

            def serve() -> None:
                command, client = server.recvfrom(100)
                for text in answer(command.decode()):
                    server.sendto(text.encode(), client)

            loop.add_reader(server, serve)
            try:
                return await hostapd.query_stations(str(path))
            finally:
                loop.remove_reader(server)

    return asyncio.run(both())


def test_all_stations_are_listed_in_turn(tmp_path: Path) -> None:
    answers = {"STA-FIRST": ONE, "STA-NEXT 02:11:22:33:44:55": TWO, "STA-NEXT 02:11:22:33:44:66": ""}
    assert exchange(tmp_path / "wlan0", lambda command: [answers[command]]) == ONE + TWO


@pytest.mark.parametrize("end", ["", "FAIL\n"])
def test_an_access_point_without_stations(tmp_path: Path, end: str) -> None:
    assert exchange(tmp_path / "wlan0", lambda _command: [end]) == ""


def test_events_are_ignored(tmp_path: Path) -> None:
    event = "<3>AP-STA-CONNECTED 02:11:22:33:44:77"
    answers = {"STA-FIRST": [event, ONE], "STA-NEXT 02:11:22:33:44:55": [event, "FAIL\n"]}
    assert exchange(tmp_path / "wlan0", lambda command: answers[command]) == ONE


def test_the_number_of_stations_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostapd, "_MAX_STATIONS", 50)
    assert exchange(tmp_path / "wlan0", lambda _command: [ONE]) == ONE * 50


def test_a_hostapd_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostapd, "_TIMEOUT", 0.05)
    with pytest.raises(HostError, match=r"wlan0 .*answer"):
        exchange(tmp_path / "wlan0", lambda _command: [])


def test_a_socket_that_is_not_hostapds(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"control socket: UNKNOWN COMMAND"):
        exchange(tmp_path / "wlan0", lambda _command: ["UNKNOWN COMMAND\n"])


def test_a_missing_socket(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(hostapd.query_stations(str(tmp_path / "none")))
