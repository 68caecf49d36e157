"""The dispatcher: whatever the machine does, a request ends in one answer."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest
from helper.fake_drives import FakeDrives
from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.model import DiskId, FailureCause, SpinDown
from powerd.helper import rtc
from powerd.helper.dispatcher import Dispatcher, refusal
from powerd.helper.protocol.codec import encode_response, parse_response
from powerd.helper.protocol.messages import (
    MAX_SENTENCE,
    AlarmResponse,
    ArmCard,
    ReadAlarm,
    Refused,
    Request,
    Response,
)
from powerd.helper.server import response_line
from powerd.helper.subprocess import Tools
from powerd.simulation.rtc import EPOCH, SimulatedRtc


def serve(request: Request, root: Path) -> Response:
    async def main() -> Response:
        dispatcher = Dispatcher(root)
        answer = await dispatcher.dispatch(request)
        assert not dispatcher.busy
        return answer

    return asyncio.run(main())


def refused(answer: Response) -> Refused:
    assert isinstance(answer, Refused)
    return answer


def test_requests_reach_their_subsystem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "`ip link`" in refused(serve(ArmCard("eth0"), tmp_path)).message
    assert "/sys/class/rtc is empty" in refused(serve(ReadAlarm(), tmp_path)).message
    monkeypatch.setattr(rtc, "find_rtc", lambda _root: SimulatedRtc())
    assert serve(ReadAlarm(), tmp_path) == AlarmResponse("rtc0", EPOCH, None, None, written=False)


def test_an_rtc_far_from_any_year_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc, "find_rtc", lambda _root: SimulatedRtc(now=1 << 60))
    line = response_line(serve(ReadAlarm(), tmp_path))
    answer = parse_response(line)
    assert isinstance(answer, Refused)
    assert "alarm: now must be" in answer.message


def test_a_sysfs_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(_root: Path) -> rtc.Rtc:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(rtc, "find_rtc", find)
    answer = refused(serve(ReadAlarm(), tmp_path))
    assert "Input/output error; see dmesg" in answer.message
    assert answer.cause is FailureCause.HELPER_UNAVAILABLE


@pytest.mark.process
def test_a_refusal_reports_what_was_sent_to_the_disk(tmp_path: Path) -> None:
    drives = FakeDrives(tmp_path, "sda")
    drives.set_state("sda", "active", "testing")

    async def main() -> Response:
        return await Dispatcher(drives.root, tools=Tools([drives.tools])).dispatch(
            SpinDown(DiskId("ata-SDA"), "ata")
        )

    answer = refused(asyncio.run(main()))
    assert "self-test runs" in answer.message
    assert (answer.cause, answer.commands) == (FailureCause.BUSY, 3)


@given(st.text(min_size=1, max_size=2 * MAX_SENTENCE))
def test_any_sentence_fits_into_a_line(why: str) -> None:
    answer = refusal(why)
    assert parse_response(encode_response(answer)) == answer
    if len(why) <= MAX_SENTENCE and why.isprintable():
        assert answer.message == why
