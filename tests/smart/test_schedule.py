from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from powerd.config.disk_options import SelfTestOptions, SmartOptions
from powerd.smart import schedule
from powerd.smart.model import Health, Sample, SmartRecord
from powerd.smart.schedule import next_check, next_test

DAY = 86400.0
HOUR = 3600.0
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 6, 1, 12, tzinfo=BERLIN)
LATER = datetime(2026, 11, 1, 12, tzinfo=BERLIN)
SMART = SmartOptions()


def posix(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


def checked(at: float, minutes: tuple[int, int] = (2, 265)) -> SmartRecord:
    return SmartRecord(
        known_since=at - DAY, last=Health(checked_at=at, protocol="ata", passed=True, test_minutes=minutes)
    )


def local(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, BERLIN):%m-%d %H:%M}"


def test_a_drive_that_was_never_checked_is_due_at_once() -> None:
    check = next_check(SmartRecord(known_since=NOON.timestamp()), SMART, NOON)
    assert check == (NOON.timestamp(), NOON.timestamp() + 7 * DAY)


def test_the_next_check_is_at_the_preferred_time_a_day_later() -> None:
    for last in ("2026-06-01 12:00", "2026-06-01 15:20", "2026-06-01 23:59", "2026-06-01 11:01"):
        check = next_check(checked(posix(last)), SMART, LATER)
        assert check is not None
        assert local(check.due) == "06-02 12:00", last
        assert check.overdue == posix(last) + 7 * DAY


def test_a_drive_that_is_used_once_a_day_is_due_each_day_at_whatever_hour_that_is() -> None:
    for hour in set(range(24)) - {11}:  # within the hour before noon, once is enough
        last, next_use = f"2026-06-01 {hour:02d}:00", f"2026-06-02 {hour:02d}:00"
        check = next_check(checked(posix(last)), SMART, LATER)
        assert check is not None
        assert posix(last) + HOUR <= check.due <= posix(next_use)


def test_short_rhythms_know_no_time_of_day() -> None:
    check = next_check(checked(posix("2026-06-01 15:20")), replace(SMART, every=6 * HOUR), LATER)
    assert check is not None
    assert local(check.due) == "06-01 21:20"


def test_no_rhythm_no_check() -> None:
    assert next_check(checked(0), replace(SMART, every=0.0), NOON) is None


def test_a_deferral_shorter_than_the_rhythm_wakes_no_earlier_than_that() -> None:
    check = next_check(checked(posix("2026-06-01 12:00")), replace(SMART, max_defer=HOUR), NOON)
    assert check is not None
    assert check.overdue == posix("2026-06-02 12:00")


def test_noon_is_noon_when_the_clocks_change() -> None:
    for last, due in (("2026-03-28 12:00", "03-29 12:00"), ("2026-10-24 12:00", "10-25 12:00")):
        check = next_check(checked(posix(last)), SMART, LATER)
        assert check is not None
        assert local(check.due) == due


def test_a_clock_that_was_set_back_defers_no_check_for_ever() -> None:
    future = checked(NOON.timestamp() + 1000 * DAY)
    check = next_check(future, SMART, NOON)
    assert check is not None
    assert check.due <= NOON.timestamp() + DAY / 2
    assert check.overdue <= NOON.timestamp() + 7 * DAY


def test_a_drive_spun_up_for_a_failed_check_is_not_spun_up_again_before_its_time() -> None:
    woken = replace(checked(NOON.timestamp() - 9 * DAY), woken_at=NOON.timestamp() - DAY)
    check = next_check(woken, SMART, NOON)
    assert check is not None
    assert check.due < NOON.timestamp()
    assert check.overdue == NOON.timestamp() + 6 * DAY


def test_a_record_without_its_last_check_is_not_overdue_before_its_time() -> None:
    now = NOON.timestamp()
    samples = tuple(Sample(now - days * DAY, True, None, {}) for days in (9, 2))  # noqa: FBT003 - a row
    damaged = SmartRecord(known_since=now - 100 * DAY, samples=samples)
    assert next_check(damaged, SMART, NOON) == (now - 2 * DAY, now + 5 * DAY)
    future = replace(damaged, samples=(Sample(now + 900 * DAY, True, None, {}),))  # noqa: FBT003 - a row
    check = next_check(future, SMART, NOON)
    assert check is not None
    assert check.due <= now < check.overdue


def test_self_tests_by_their_rhythm_the_rarer_one_counting_as_both() -> None:
    record = checked(NOON.timestamp())
    assert next_test(record, SMART) == (record.known_since + 7 * DAY, "short")
    long = replace(record, test_started_at={"long": NOON.timestamp(), "short": 0.0})
    assert next_test(long, SMART) == (NOON.timestamp() + 7 * DAY, "short")
    both_due = replace(record, known_since=0.0, test_started_at={"short": NOON.timestamp() - DAY})
    assert next_test(both_due, SMART) == (30 * DAY, "long")


def test_no_self_test_for_drives_that_have_none_or_were_never_asked() -> None:
    assert next_test(checked(0, minutes=(0, 0)), SMART) is None
    assert next_test(SmartRecord(known_since=0), SMART) is None
    assert next_test(checked(0), replace(SMART, self_test=SelfTestOptions(0.0, 0.0))) is None
    assert next_test(checked(0), replace(SMART, self_test=SelfTestOptions(0.0, DAY))) == (0.0, "long")


def test_a_self_test_ends_a_quarter_later_than_the_drive_estimates() -> None:
    record = replace(checked(0), test_started_at={"short": 5.0, "long": 100.0})
    assert schedule.self_test_ends_at(record) == 100.0 + 265 * 60 * 1.25
    assert schedule.self_test_ends_at(checked(0)) is None
    endless = replace(checked(0, minutes=(2, 1 << 30)), test_started_at={"long": 0.0})
    assert schedule.self_test_ends_at(endless) == 3 * DAY


def test_a_self_test_that_a_check_found_runs_for_what_is_left_of_it() -> None:
    """Whichever program started it, and however much longer it takes than the drive has announced."""
    last = Health(
        checked_at=20000, protocol="ata", passed=True, test_minutes=(2, 100), test_remaining_percent=40
    )
    start = SmartRecord(known_since=0, last=last, test_started_at={"long": 100.0})
    for record in (
        start,
        replace(start, test_started_at={}),
        replace(start, test_started_at={"short": 5.0, "long": 7.0}),
    ):
        assert schedule.self_test_ends_at(record) == 20000 + 0.4 * 7500
    assert (
        schedule.self_test_ends_at(replace(start, last=replace(last, test_remaining_percent=0)))
        == 20000 + 600
    )
    assert schedule.self_test_ends_at(replace(start, last=replace(last, test_remaining_percent=None))) is None
    assert schedule.self_test_name(start) == "long self-test"
    assert "another program started" in schedule.self_test_name(replace(start, test_started_at={}))
    assert "another program" in schedule.self_test_name(
        replace(start, test_started_at={"long": 100 - 4 * DAY})
    )


def test_a_drive_that_only_reports_a_self_test_blocks_no_sleep() -> None:
    last = Health(
        checked_at=20000, protocol="ata", passed=True, test_minutes=(2, 100), test_remaining_percent=40
    )
    stuck = SmartRecord(known_since=0, last=last, previous=replace(last, checked_at=20000 - 750))
    assert schedule.self_test_ends_at(stuck) is None
    by_hand = replace(stuck, previous=replace(last, checked_at=20000 - 749))
    assert schedule.self_test_ends_at(by_hand) == 20000 + 0.4 * 7500


def test_what_came_of_a_self_test_is_read_when_it_is_over() -> None:
    record = replace(checked(posix("2026-06-01 12:00")), test_started_at={"short": posix("2026-06-01 12:10")})
    check = next_check(record, SMART, LATER)
    assert check is not None
    assert local(check.due) == "06-01 12:12"
    read = replace(
        record, last=replace(record.last or Health(0, "ata", None), checked_at=posix("2026-06-01 12:13"))
    )
    after = next_check(read, SMART, LATER)
    assert after is not None
    assert local(after.due) == "06-02 12:00"


@given(
    st.integers(0, 2 << 30),
    st.integers(0, 400 * 86400),
    st.integers(0, 400 * 86400),
    st.integers(0, 1439),
    st.integers(0, 2 << 30),
)
def test_a_check_is_never_due_before_the_last_one_nor_after_it_must_be(
    last: int, every: int, max_defer: int, at: int, now: int
) -> None:
    wall = datetime.fromtimestamp(now, BERLIN)
    check = next_check(checked(last), SmartOptions(every, at, max_defer), wall)
    if check is None:
        assert every == 0
        return
    if last <= now + HOUR:
        assert check.due > min(last, now)
    assert check.overdue >= min(last, now - every) + every
    assert check.due <= check.overdue + DAY / 2
