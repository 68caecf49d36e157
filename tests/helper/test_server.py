"""A hostile client before the real helper: it gets one line with what is wrong, and nothing else happens."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helper.helper_process import NOBODY, HelperProcess, as_user, receive_line
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.wait import until

from powerd.helper.protocol.codec import MAX_LINE
from powerd.helper.protocol.messages import REQUESTS

pytestmark = pytest.mark.process

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: run as root")


@pytest.fixture(scope="module")
def server() -> Iterator[HelperProcess]:
    with HelperProcess() as server:
        server.request(request="read-alarm")  # after which its event loop has opened what it needs
        yield server


@pytest.fixture(autouse=True)
def nothing_happens(server: HelperProcess) -> Iterator[None]:
    """After every test: the machine is as it was, the helper lives, answers, and has let go of everybody."""
    before, open_before = server.tree_state(), server.descriptors()
    yield
    until(
        lambda: server.request(request="read-alarm").get("at") == 1_763_703_600,
        "there is room, and an answer",
    )
    assert server.tree_state() == before
    assert server.process.poll() is None
    until(lambda: server.descriptors() <= open_before, "every connection is closed")
    assert not any("Traceback" in line for line in server.log())


def refusal(answer: dict[str, object]) -> str:
    assert sorted(answer) == ["cause", "commands", "message", "response"]
    assert answer["response"] == "refused"
    return str(answer["message"])


def test_who_asks_well_is_answered(server: HelperProcess) -> None:
    assert server.request(request="read-alarm") == {
        "response": "alarm",
        "rtc": "rtc0",
        "now": 1_763_700_000,
        "at": 1_763_703_600,
        "before": 1_763_703_600,
        "written": False,
    }


@given(data=st.binary(max_size=200).map(lambda data: data.replace(b"\n", b"") + b"\n"))
@settings(max_examples=60)
def test_fuzzed_lines(server: HelperProcess, data: bytes) -> None:
    refusal(server.send(data))


@given(
    value=st.sampled_from(sorted(REQUESTS)),
    values=st.dictionaries(
        st.sampled_from(
            [
                *("in_seconds", "replaces", "at", "interface", "path", "argv"),
                *("disk", "disks", "how", "value", "level", "spin_down"),
            ]
        ),
        st.none()
        | st.booleans()
        | st.integers(max_value=59)
        | st.text(max_size=20)
        | st.lists(st.none() | st.text(max_size=9)),
        min_size=1,
    ),
)
@settings(max_examples=60)
def test_fuzzed_values(server: HelperProcess, value: str, values: dict[str, object]) -> None:
    """Whatever stands in them, none of these may set an alarm, or find a card or a disk."""
    refusal(server.send(json.dumps({"request": value, **values}).encode() + b"\n"))


@pytest.mark.parametrize(
    "name",
    [
        "../fake7",
        "..",
        ".",
        "fake7/../../../../precious",
        "/precious",
        "fake7\0",
        "fake7\n",
        "x" * 4000,
        "ファ",
        "",
    ],
)
def test_path_tricks(server: HelperProcess, name: str) -> None:
    for value in ("read-card", "arm-card"):
        answer = refusal(server.request(request=value, interface=name))
        assert "an interface's name" in answer


@pytest.mark.parametrize(
    "name",
    ["../sda", "sda", "/dev/sda", "..", "", "ata-SDA\0", "ata-SDA/../ata-SDB", "-y", "x" * 4000, "ata-SDA\n"],
)
def test_path_tricks_with_disks(server: HelperProcess, name: str) -> None:
    requests: list[dict[str, object]] = [
        {"request": "check-power-mode", "disk": name},
        {"request": "spin-down", "disk": name, "method": "ata"},
        {"request": "set-standby-timer", "disk": name, "seconds": 0},
        {"request": "await-first-access", "disks": ["ata-SDA", name]},
    ]
    for request in requests:
        answer = refusal(server.request(**request))
        assert "must be" in answer or f"no disk {name}" in answer
    assert server.drives.tool_calls() == []


def test_a_disk_is_asked_by_its_tool(server: HelperProcess) -> None:
    answer = server.request(request="check-power-mode", disk="ata-SDA")
    assert answer == {
        "response": "power-status",
        "mode": "active",
        "commands": 1,
        "spin_down_sent": False,
    }
    assert server.drives.tool_calls() == ["hdparm --verbose -C sda"]


@contextlib.contextmanager
def guarding(server: HelperProcess) -> Iterator[socket.socket]:
    """A connection on which a guard is under way."""
    before = len(server.log())
    with server.connect() as line:
        line.sendall(b'{"request": "await-first-access", "disks": ["ata-SDA", "ata-SDB"]}\n')
        until(lambda: "is polled every 1 s" in "".join(server.log()[before:]), "the guard begins")
        yield line


@pytest.mark.parametrize("how", ["closed", "half closed", "spoken on"])
def test_a_guard_lasts_as_long_as_its_connection(server: HelperProcess, how: str) -> None:
    before = len(server.log())
    with guarding(server) as line:
        if how == "closed":
            line.close()
        elif how == "half closed":
            line.shutdown(socket.SHUT_WR)
        else:
            line.sendall(b"x")
        until(lambda: "the client has closed the connection" in "".join(server.log()[before:]), "it ends")


def test_guards_take_nobody_else_s_place(server: HelperProcess) -> None:
    with contextlib.ExitStack() as closing:
        for _ in range(50):
            closing.enter_context(guarding(server))
        assert server.request(request="read-alarm")["response"] == "alarm"


@pytest.mark.parametrize("name", ["fake8", "br7", "lo", "..."])
def test_unknown_devices(server: HelperProcess, name: str) -> None:
    for value in ("read-card", "arm-card"):
        answer = refusal(server.request(request=value, interface=name))
        assert f"no network interface {name}" in answer or f"{name} is a virtual" in answer


def test_a_card_of_a_name_that_the_kernel_does_not_know(server: HelperProcess) -> None:
    """It is in the fake /sys only, so the real kernel is asked, and knows none of that name."""
    assert "fake7 is no longer" in refusal(server.request(request="arm-card", interface="fake7"))


def test_somebody_elses_alarm(server: HelperProcess) -> None:
    assert "another program's" in refusal(server.request(request="clear-alarm", at=1_763_703_601))
    log = server.request(request="set-alarm", in_seconds=3600, replaces=None)
    assert (log["at"], log["written"]) == (1_763_703_600, False)


@pytest.mark.parametrize("size", [MAX_LINE, MAX_LINE + 1, 1 << 20, 16 << 20])
def test_oversized_lines(server: HelperProcess, size: int) -> None:
    assert "16384 bytes" in refusal(server.send(b"x" * size))


def test_the_longest_line_that_is_allowed(server: HelperProcess) -> None:
    request = b'{"request": "read-alarm"}'
    assert server.send(request + b" " * (MAX_LINE - len(request) - 1) + b"\n")["response"] == "alarm"
    assert "has more" in refusal(server.send(request + b" " * (MAX_LINE - len(request)) + b"\n"))


@pytest.mark.parametrize(
    "data", [b"\n{}\n", b'{"request": "read-alarm"}\n{"request": "read-alarm"}\n', b"{}\nx"]
)
def test_more_than_one_line(server: HelperProcess, data: bytes) -> None:
    assert "more than one line" in refusal(server.send(data))


@pytest.mark.parametrize("data", [b"", b"{", b'{"request": "read-alarm"}'])
def test_half_closed_before_the_end(server: HelperProcess, data: bytes) -> None:
    with server.connect() as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        assert "not end with a" in refusal(receive_line(line))


def test_half_closed_after_the_end_is_answered(server: HelperProcess) -> None:
    with server.connect() as line:
        line.sendall(b'{"request": "read-alarm"}\n')
        line.shutdown(socket.SHUT_WR)
        assert receive_line(line)["response"] == "alarm"


def test_gone_before_the_answer(server: HelperProcess) -> None:
    for data in (
        b"",
        b"{",
        b'{"request": "read-alarm"}\n',
        b'{"request": "arm-card", "interface": "fake7"}\n',
    ):
        for _ in range(10):
            with server.connect() as line:
                line.sendall(data)


def test_a_line_in_pieces_is_a_line(server: HelperProcess) -> None:
    with server.connect() as line:
        for byte in b'{"request": "read-alarm"}\n':
            line.sendall(bytes([byte]))
        assert receive_line(line)["response"] == "alarm"


def test_descriptors_that_are_sent_along_are_dropped(server: HelperProcess) -> None:
    with server.connect() as line, Path("/dev/null").open() as extra:
        rights = array.array("i", [extra.fileno()] * 50)
        line.sendmsg([b'{"request": "read-alarm"}\n'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        assert receive_line(line)["response"] == "alarm"


def test_a_hundred_connections_of_slow_writers(server: HelperProcess) -> None:
    """Eight connections are served and ninety-two refused at once; the eight are closed at their deadline."""
    start = time.monotonic()
    with contextlib.ExitStack() as closing:
        lines = [closing.enter_context(server.connect()) for _ in range(100)]
        for line in lines[8:]:
            answer = receive_line(line)
            assert "8 clients" in refusal(answer)
            assert answer["cause"] == "unreached", "no disk is to be blamed for that"
        assert server.descriptors() < 30
        waiting = lines[:8]
        while waiting and time.monotonic() < start + 30:
            for line in list(waiting):
                try:
                    line.sendall(b" ")
                except (BrokenPipeError, ConnectionResetError):
                    waiting.remove(line)
                    assert "within 5 s" in refusal(receive_line(line))
            time.sleep(0.25)
    assert waiting == []
    assert time.monotonic() - start >= 4.9


@needs_root
def test_another_user_is_turned_away_unread(server: HelperProcess) -> None:
    for data in (
        b'{"request": "set-alarm", "in_seconds": 600, "replaces": 1763703600}\n',
        b"x" * (1 << 20),
        b"",
    ):
        with as_user(NOBODY):
            line = server.connect()
        with line, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(data)
            assert f"user {NOBODY} may not" in refusal(receive_line(line))

    def turned_away() -> list[str]:
        return [line for line in server.log() if f"user {NOBODY}" in line]

    until(lambda: turned_away()[2:], "they are logged")
    answer = turned_away()
    assert len(answer) == 3
    assert all(line.startswith("<4>") for line in answer)


def test_every_request_is_one_line_in_the_journal(server: HelperProcess) -> None:
    before = len(server.log())
    server.request(request="read-card", interface="fake8")
    server.send(b'{"request": "read-alarm\\n<0>forged"}\n')
    server.send("\u2028\x1b[31m\n".encode())
    until(lambda: len(server.log()) >= before + 3, "they are logged")
    answer = server.log()[before:]
    assert len(answer) == 3
    assert all(line.startswith(f"<5>user {os.geteuid()}, pid {os.getpid()}: ") for line in answer)
    assert '"message": "there is no' in answer[0]
    assert "no request; " in answer[1]
    assert all(line.isascii() and line.isprintable() for line in answer)
