"""Alarms on a simulated RTC: set, read back, and alarms of other programs are never lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.helper import rtc
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.messages import AlarmResponse, ClearAlarm, ReadAlarm, SetAlarm
from powerd.simulation.rtc import EPOCH, SimulatedRtc

HOUR = 3600


def test_set_is_read_back() -> None:
    clock = SimulatedRtc()
    assert rtc.execute(SetAlarm(HOUR, None), clock) == AlarmResponse(
        "rtc0", EPOCH, EPOCH + HOUR, None, written=True
    )
    assert clock.alarm == EPOCH + HOUR
    assert clock.log == ["0", f"+{HOUR}"], "seconds from the RTC's now, so that its time zone does not matter"


def test_read_returns_the_set_alarm() -> None:
    assert rtc.execute(ReadAlarm(), SimulatedRtc()) == AlarmResponse("rtc0", EPOCH, None, None, written=False)
    standing = SimulatedRtc(alarm=EPOCH + 9)
    assert rtc.execute(ReadAlarm(), standing) == AlarmResponse(
        "rtc0", EPOCH, EPOCH + 9, EPOCH + 9, written=False
    )
    assert standing.log == []


def test_its_own_alarm_is_replaced_earlier_or_later() -> None:
    """The kernel says EBUSY to a second alarm; that is not the caller's to know."""
    clock = SimulatedRtc()
    for seconds in (HOUR, 2 * HOUR, 60):
        mine = clock.alarm
        alarm = rtc.execute(SetAlarm(seconds, mine), clock)
        assert (alarm.at, alarm.before, alarm.written) == (EPOCH + seconds, mine, True)


def test_somebody_elses_earlier_alarm_stays() -> None:
    clock = SimulatedRtc(alarm=EPOCH + 600)
    for mine in (None, EPOCH + 7200):
        alarm = rtc.execute(SetAlarm(HOUR, mine), clock)
        assert alarm == AlarmResponse("rtc0", EPOCH, EPOCH + 600, EPOCH + 600, written=False)
    assert clock.log == []


def test_somebody_elses_later_alarm_is_reported() -> None:
    clock = SimulatedRtc(alarm=EPOCH + 7200)
    alarm = rtc.execute(SetAlarm(HOUR, None), clock)
    assert (alarm.at, alarm.before, alarm.written) == (EPOCH + HOUR, EPOCH + 7200, True)


def test_an_alarm_that_may_go_off_before_the_machine_sleeps_is_no_wake() -> None:
    clock = SimulatedRtc(alarm=EPOCH + 20)
    with pytest.raises(RefusalError, match="another program's alarm"):
        rtc.execute(SetAlarm(HOUR, None), clock)
    assert clock.log == []
    assert rtc.execute(SetAlarm(HOUR, EPOCH + 20), clock).at == EPOCH + HOUR, "its own may go"


def test_a_slow_bus_is_no_error() -> None:
    """An RTC behind I2C can take a second per access; the alarm counts from when the kernel took it."""
    alarm = rtc.execute(SetAlarm(60, None), SimulatedRtc(lag=1))
    assert alarm.at is not None
    assert alarm.written
    assert EPOCH + 60 < alarm.at < EPOCH + 66


@pytest.mark.parametrize("before", [None, EPOCH + 7200])
@pytest.mark.parametrize(
    ("trait", "says"),
    [
        ({"drops_alarm": True}, "rtc0 accepted an alarm 3600 s ahead but shows none"),
        ({"skew": 3}, "was set to an alarm 3600 s ahead but shows one 3603 s ahead"),
        ({"skew": -3}, "was set to an alarm 3600 s ahead but shows one 3597 s ahead"),
        (
            {"max_ahead": 600},
            "rtc0 accepts no alarm 3600 s ahead: many clocks",
        ),
    ],
)
def test_what_is_not_confirmed_is_refused(trait: dict[str, Any], says: str, before: int | None) -> None:
    clock = SimulatedRtc(alarm=before, **trait)
    with pytest.raises(RefusalError, match=says):
        rtc.execute(SetAlarm(HOUR, None), clock)
    assert clock.log[:2] == ["0", f"+{HOUR}"]
    assert (clock.log[-1] == str(before)) is (before is not None), "what stood is asked for again"


def test_an_alarm_that_may_not_wake_the_machine_is_refused() -> None:
    """The kernel sets it, and masks its interrupt at the suspend (cmos_suspend(), drivers/rtc/rtc-cmos.c)."""
    clock = SimulatedRtc(wakeup="disabled")
    with pytest.raises(RefusalError, match="echo enabled > /sys/class/rtc/rtc0/device/power/wakeup"):
        rtc.execute(SetAlarm(HOUR, None), clock)
    assert clock.log == []
    clock.alarm = EPOCH + HOUR
    assert rtc.execute(ClearAlarm(EPOCH + HOUR), clock).at is None, "one from before can be cleared"


def test_a_refusal_leaves_what_stood() -> None:
    clock = SimulatedRtc(max_ahead=HOUR, alarm=EPOCH + 3000)
    with pytest.raises(RefusalError, match="24 hours"):
        rtc.execute(SetAlarm(2 * HOUR, EPOCH + 3000), clock)
    assert clock.alarm == EPOCH + 3000


def test_a_wrong_alarm_is_taken_away_again() -> None:
    clock = SimulatedRtc(skew=100)
    with pytest.raises(RefusalError, match="3700 s"):
        rtc.execute(SetAlarm(HOUR, None), clock)
    assert clock.alarm is None


def test_an_alarm_set_at_the_same_moment_is_not_lost() -> None:
    """Between ``0`` and ``+N`` another program sets its own: EBUSY, and theirs stays."""
    clock = SimulatedRtc(alarm=EPOCH + 7200, rival_alarm=EPOCH + 500)
    with pytest.raises(RefusalError, match="another program"):
        rtc.execute(SetAlarm(HOUR, None), clock)
    assert clock.alarm == EPOCH + 500


def test_clear_takes_the_named_one_only() -> None:
    clock = SimulatedRtc(alarm=EPOCH + HOUR)
    with pytest.raises(RefusalError, match="another program's alarm"):
        rtc.execute(ClearAlarm(EPOCH + HOUR + 1), clock)
    assert (clock.alarm, clock.log) == (EPOCH + HOUR, [])
    cleared = rtc.execute(ClearAlarm(EPOCH + HOUR), clock)
    assert cleared == AlarmResponse("rtc0", EPOCH, None, EPOCH + HOUR, written=False)
    assert clock.alarm is None
    assert rtc.execute(ClearAlarm(EPOCH + HOUR), clock).at is None, (
        "an alarm that has elapsed is not an error"
    )


def test_a_clear_that_does_not_show_is_refused() -> None:
    clock = SimulatedRtc(alarm=EPOCH + HOUR, rival_alarm=EPOCH + HOUR)
    with pytest.raises(RefusalError, match="still shows"):
        rtc.execute(ClearAlarm(EPOCH + HOUR), clock)


def test_an_alarm_that_comes_after_a_clear_is_reported() -> None:
    clock = SimulatedRtc(alarm=EPOCH + HOUR, rival_alarm=EPOCH + 900)
    assert rtc.execute(ClearAlarm(EPOCH + HOUR), clock).at == EPOCH + 900


@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize("code", [errno.EIO, errno.ENODEV, errno.ENOENT, errno.EACCES])
def test_an_rtc_that_goes_away_is_one_sentence(code: int, after: int) -> None:
    for request in (ReadAlarm(), SetAlarm(HOUR, None), ClearAlarm(EPOCH + 7200)):
        clock = SimulatedRtc(alarm=EPOCH + 7200, access_errno=code, fails_after=after)
        try:
            rtc.execute(request, clock)
        except RefusalError as error:
            assert os.strerror(code) in str(error)  # noqa: PT017 - late enough, it does no harm
            assert "dmesg" in str(error)  # noqa: PT017 - late enough, it does no harm
        else:
            assert after > 2
            assert clock.fails_after >= 0, "it was whole to the end"


def test_a_failed_read_back_leaves_no_unknown_alarm() -> None:
    class Once(SimulatedRtc):
        def read(self, attribute: str) -> str:
            if self.log and self.log[-1].startswith("+"):
                raise OSError(errno.EIO, "Input/output error")
            return super().read(attribute)

    clock = Once(alarm=EPOCH + 7200)
    with pytest.raises(RefusalError, match=r"rtc0 .*: Input/output error"):
        rtc.execute(SetAlarm(HOUR, None), clock)
    assert clock.alarm == EPOCH + 7200


@given(
    standing=st.none() | st.integers(1, 10**6),
    asked=st.integers(60, 31 * 86_400),
    mine=st.booleans(),
    reach=st.integers(60, 31 * 86_400),
    skew=st.integers(-200, 200),
    ignores_alarm=st.booleans(),
)
def test_a_machine_that_relies_on_the_answer_is_woken_in_time(  # noqa: PLR0913 - what can be at odds
    *, standing: int | None, asked: int, mine: bool, reach: int, skew: int, ignores_alarm: bool
) -> None:
    at = None if standing is None else EPOCH + standing
    clock = SimulatedRtc(alarm=at, max_ahead=reach, skew=skew, drops_alarm=ignores_alarm)
    try:
        alarm = rtc.execute(SetAlarm(asked, at if mine else None), clock)
    except RefusalError:
        return
    assert alarm.at is not None
    assert alarm.at == clock.alarm
    assert EPOCH + 60 - 2 <= alarm.at <= EPOCH + asked + 2
    assert alarm.before == at
    if at is not None and not mine:
        assert alarm.at <= at + 2, "the alarm of another program is not delayed"


def tree(root: Path, **clocks: dict[str, str]) -> Path:
    """A /sys/class/rtc below ``root``."""
    for name, attributes in clocks.items():
        directory = root / "sys/class/rtc" / name
        directory.mkdir(parents=True)
        for attribute, text in attributes.items():
            (directory / attribute).write_text(text)
    return root


ABLE = {"wakealarm": "", "since_epoch": "1763700000\n", "hctosys": "0\n"}


@pytest.mark.parametrize("other", [ABLE, {"wakealarm": ""}])
def test_the_rtc_that_set_the_clock_is_chosen(tmp_path: Path, other: dict[str, str]) -> None:
    assert rtc.find_rtc(tree(tmp_path, rtc0=other, rtc1={**ABLE, "hctosys": "1\n"})).name == "rtc1"


def test_else_the_first_that_can_wake(tmp_path: Path) -> None:
    unable = {"since_epoch": "1763700000\n", "hctosys": "1\n"}
    no_word = {"wakealarm": ""}
    assert rtc.find_rtc(tree(tmp_path, rtc0=unable, rtc10=ABLE, rtc2=no_word)).name == "rtc2"


def test_machines_that_cannot_be_woken_by_an_rtc(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="/sys/class/rtc is empty"):
        rtc.find_rtc(tmp_path)
    with pytest.raises(RefusalError, match=r"\(rtc0, rtc1\)"):
        rtc.find_rtc(tree(tmp_path, rtc0={"since_epoch": "1\n"}, rtc1={"since_epoch": "1\n"}))


def test_real_files_are_read_and_written(tmp_path: Path) -> None:
    clock = rtc.find_rtc(tree(tmp_path, rtc0={**ABLE, "wakealarm": "1763703600\n"}))
    assert rtc.execute(ReadAlarm(), clock).at == 1_763_703_600
    clock.write("wakealarm", "0")
    assert (tmp_path / "sys/class/rtc/rtc0/wakealarm").read_text() == "0"
    with pytest.raises(FileNotFoundError):
        clock.write("wake", "0")
    assert sorted(path.name for path in (tmp_path / "sys/class/rtc/rtc0").iterdir()) == sorted(ABLE)


def test_files_that_only_resemble_an_rtc_confirm_nothing(tmp_path: Path) -> None:
    """A plain file shows ``+3600`` where the kernel shows a time: what is not read back is not believed."""
    with pytest.raises(RefusalError, match="rtc0/wakealarm"):
        rtc.execute(SetAlarm(HOUR, None), rtc.find_rtc(tree(tmp_path, rtc0=ABLE)))


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_rtc_without_time_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RefusalError, match="rtc0 reports no time"):
        rtc.execute(ReadAlarm(), rtc.find_rtc(tree(tmp_path, rtc0={**ABLE, "since_epoch": text})))


@given(text=st.text(max_size=80).filter(lambda text: not text.strip().isdigit() and text.strip() != ""))
def test_no_text_is_taken_for_a_number(text: str) -> None:
    class Odd(SimulatedRtc):
        def read(self, attribute: str) -> str:  # noqa: ARG002 - whatever is asked
            return text.strip()

    with pytest.raises(RefusalError, match="is not a number"):
        rtc.execute(ReadAlarm(), Odd())
