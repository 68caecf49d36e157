from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts
from hypothesis import given
from hypothesis import strategies as st

from powerd.activity.checks.mpd import MpdCheck, Options, is_complete, parse
from powerd.core.poller import PollDepth
from powerd.linux.values import HostError

SERVER = ("127.0.0.1", 6600)
ANSWER = """\
OK MPD 0.23.5
repeat: 0
random: 0
single: 0
consume: 0
partition: default
playlist: 1
playlistlength: 0
mixrampdb: 0
state: {}
OK
"""
"""As MPD 0.23.5 answers."""
DENIED = 'OK MPD 0.23.5\nACK [4@0] {status} you don\'t have permission for "status"\n'
WRONG = ANSWER.format("stop").replace("0.23.5\n", "0.23.5\nACK [3@0] {password} incorrect password\n")


@pytest.mark.parametrize(("state", "awake"), [("play", True), ("pause", False), ("stop", False)])
def test_states(state: str, awake: bool) -> None:  # noqa: FBT001 - a row of the table
    fake = RecordingPorts(answers={SERVER: ANSWER.format(state).encode()})
    (activity,) = asyncio.run(MpdCheck(Options(), check_ports(fake.ports())).poll(PollDepth.ROUTINE))
    assert activity.keeps_awake is awake
    assert fake.calls == [("exchange", SERVER, b"status\nclose\n")]


@pytest.mark.parametrize("answer", [DENIED, WRONG, "", "OK MPD 0.23.5\n", "SSH-2.0\n", ANSWER.format("x")])
def test_any_other_answer_is_a_failure(answer: str) -> None:
    with pytest.raises(HostError):
        parse(answer.encode(), "server")


def test_an_answer_is_complete_at_its_end_only() -> None:
    data = ANSWER.format("play").encode()
    assert [size for size in range(len(data)) if is_complete(data[:size])] == [len(data) - 1]
    with_password = data.replace(b"0.23.5\n", b"0.23.5\nOK\n")
    assert not is_complete(with_password[:20])
    assert is_complete(with_password)


@given(st.binary() | st.binary().map(b"OK MPD ".__add__))
def test_any_bytes_are_a_state_or_an_error(data: bytes) -> None:
    is_complete(data)
    try:
        state = parse(data, "server")
    except HostError:
        return
    assert state in {"play", "pause", "stop"}


def test_the_password_is_quoted(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text('a"b\\\n')
    secret.chmod(0o600)
    fake = RecordingPorts(answers={SERVER: ANSWER.format("play").encode()})
    check = MpdCheck(Options(password_file=str(secret)), check_ports(fake.ports()))
    asyncio.run(check.poll(PollDepth.ROUTINE))
    assert fake.calls == [("exchange", SERVER, b'password "a\\"b\\\\"\nstatus\nclose\n')]
