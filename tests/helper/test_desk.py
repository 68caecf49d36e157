"""The desk: whatever the machine does, a request ends in one answer."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest
from helper.clocks import EPOCH, KernelRtc
from helper.drives import Drives
from hypothesis import given
from hypothesis import strategies as st

from powerd.helper import rtc
from powerd.helper.desk import Desk, refused
from powerd.helper.kinds import WORDS
from powerd.helper.protocol import (
    Alarm,
    Answer,
    ArmCard,
    ReadAlarm,
    Refused,
    Request,
    StandBy,
    parse_answer,
    to_line,
)
from powerd.helper.tool import Tools


def serve(request: Request, root: Path) -> Answer:
    async def main() -> Answer:
        desk = Desk(root)
        answer = await desk.serve(request)
        assert not desk.busy
        return answer

    return asyncio.run(main())


def test_requests_reach_their_subsystem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert serve(ArmCard("eth0"), tmp_path) == Refused(
        "there is no network interface eth0; `ip link` lists those that there are"
    )
    assert serve(ReadAlarm(), tmp_path) == Refused(
        "this machine has no real-time clock: /sys/class/rtc is empty; load its driver"
    )
    monkeypatch.setattr(rtc, "find", lambda _root: KernelRtc())
    assert serve(ReadAlarm(), tmp_path) == Alarm("rtc0", EPOCH, None, None, written=False)


def test_an_rtc_far_from_any_year_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc, "find", lambda _root: KernelRtc(now=1 << 60))
    answer = serve(ReadAlarm(), tmp_path)
    assert isinstance(answer, Refused)
    assert answer.why.startswith("the machine answers what cannot be: alarm: now must be a whole number")


def test_a_sysfs_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(_root: Path) -> rtc.Rtc:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(rtc, "find", find)
    assert serve(ReadAlarm(), tmp_path) == Refused(
        "this machine cannot be asked: Input/output error; see dmesg", "unreached"
    )


def test_a_refusal_tells_what_was_sent_to_the_disk(tmp_path: Path) -> None:
    drives = Drives(tmp_path, "sda")
    drives.let("sda", "active", "testing")

    async def main() -> Answer:
        return await Desk(drives.root, tools=Tools([drives.tools])).serve(StandBy("ata-SDA", "ata"))

    assert asyncio.run(main()) == Refused(
        "ata-SDA is not stopped: a SMART self-test runs; wait until it is done", "busy", 3
    )


@given(st.text(min_size=1, max_size=2 * WORDS))
def test_any_sentence_fits_into_a_line(why: str) -> None:
    answer = refused(why)
    assert parse_answer(to_line(answer)) == answer
    if len(why) <= WORDS and why.isprintable():
        assert answer.why == why
