"""Durations, windows and patterns: what they mean, and that what is shown reads back the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.config.values import (
    TimeWindow,
    WeeklyTime,
    canonical_mac,
    format_duration,
    parse_client_pattern,
    parse_duration,
    parse_host,
    parse_mac_pattern,
    parse_timer,
    parse_weekly_time,
    parse_window,
)

EVERY_DAY = frozenset(range(7))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("20min", 1200),
        ("2h", 7200),
        ("1h30min", 5400),
        ("7d", 604800),
        ("0s", 0),
        ("1.5s", 1.5),
        ("1d 2h 3min 4s", 93784),
    ],
)
def test_duration_means(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "90", "s", "1m", "-5s", "1min1h", "1h1h", "1e3s", "1.5h", "4000d", "9" * 400 + "s"]
)
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|longer than ten years"):
        parse_duration(text)


@given(st.integers(0, 3660 * 86400 * 1000).map(lambda ms: ms / 1000))
def test_duration_reads_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("00:00-08:00", TimeWindow(EVERY_DAY, 0, 480)),
        ("22:30-06:00", TimeWindow(EVERY_DAY, 1350, 360)),
        ("09:00-24:00", TimeWindow(EVERY_DAY, 540, 1440)),
        ("Fri,Sat 01:30-10:00", TimeWindow(frozenset({4, 5}), 90, 600)),
        ("mon-fri 22:30-06:00", TimeWindow(frozenset(range(5)), 1350, 360)),
        ("Sat-Mon 00:00-24:00", TimeWindow(frozenset({5, 6, 0}), 0, 1440)),
    ],
)
def test_window_means(text: str, window: TimeWindow) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("", "is not a window"),
        ("8:00-9:00", "is not a window"),
        ("08:00", "is not a window"),
        ("08:00-25:00", "is not a window"),
        ("08:00-08:00", "begins and ends at the same time"),
        ("24:00-08:00", "begins at 24:00"),
        ("Funday 08:00-09:00", '"Funday" is not a day'),
        ("Mon-Wed-Fri 08:00-09:00", '"Mon-Wed-Fri" is not a day'),
        ("Mon, 08:00-09:00", '"" is not a day'),
    ],
)
def test_no_window(text: str, clause: str) -> None:
    with pytest.raises(ValueError, match=clause):
        parse_window(text)


@given(st.frozensets(st.integers(0, 6), min_size=1), st.integers(0, 1439), st.integers(0, 1440))
def test_window_reads_back(days: frozenset[int], start: int, end: int) -> None:
    if start != end:
        window = TimeWindow(days, start, end)
        assert parse_window(str(window)) == window


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("06:30", WeeklyTime(EVERY_DAY, 390)),
        ("Mon-Fri 06:30", WeeklyTime(frozenset(range(5)), 390)),
        (" sat,Sun 00:00 ", WeeklyTime(frozenset({5, 6}), 0)),
    ],
)
def test_wake_time_means(text: str, time: WeeklyTime) -> None:
    assert parse_weekly_time(text) == time


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("", "is not a time of day"),
        ("6:30", "is not a time of day"),
        ("06:30-07:00", "is not a time of day"),
        ("06:60", "is not a time of day"),
        ("24:00", "is the end of a day; write 00:00"),
        ("Funday 06:30", '"Funday" is not a day'),
    ],
)
def test_no_wake_time(text: str, clause: str) -> None:
    with pytest.raises(ValueError, match=clause):
        parse_weekly_time(text)


@given(st.frozensets(st.integers(0, 6), min_size=1), st.integers(0, 1439))
def test_wake_time_reads_back(days: frozenset[int], minute: int) -> None:
    time = WeeklyTime(days, minute)
    assert parse_weekly_time(str(time)) == time


@pytest.mark.parametrize("text", ["auto", "backup.timer", "backup@nas-1.timer", "a\\x2db:c_d.timer"])
def test_timer(text: str) -> None:
    assert parse_timer(text) == text


@pytest.mark.parametrize(
    "text", ["", ".timer", "backup", "backup.service", "Auto", "a b.timer", "a/b.timer", "a" * 250 + ".timer"]
)
def test_no_timer(text: str) -> None:
    with pytest.raises(ValueError, match=r'"backup\.timer", or "auto"'):
        parse_timer(text)


@pytest.mark.parametrize(
    ("pattern", "addresses", "mac", "name", "fits"),
    [
        ("10.0.0.7", ("10.0.0.7",), None, None, True),
        ("10.0.0.7", ("10.0.0.70",), None, None, False),
        ("10.0.0.192/27", ("10.0.0.1", "10.0.0.200"), None, None, True),
        ("10.0.0.192/27", ("10.0.0.1",), None, "10.0.0.200", False),
        ("10.0.0.*", ("10.0.0.9",), None, None, True),
        ("fd00::/64", ("fd00::9",), None, None, True),
        ("aa:bb:cc:*", (), "aa:bb:cc:00:11:22", None, True),
        ("AA-BB-CC-0-11-22", (), "aa:bb:cc:00:11:22", None, True),
        ("aa:bb:cc:*", (), "aa:bb:dd:00:11:22", None, False),
        ("Printer*", (), None, "printer-2.lan", True),
        ("tv", (), None, "TV.lan", True),
        ("tv", (), None, "tvset", False),
        ("*", (), None, None, False),
        ("[x", (), None, "[x", True),
    ],
)
def test_pattern_fits(
    *, pattern: str, addresses: tuple[str, ...], mac: str | None, name: str | None, fits: bool
) -> None:
    assert parse_client_pattern(pattern).matches(addresses, mac, name) is fits


@pytest.mark.parametrize("text", ["", "  ", "10.0.0.200/27", "10.0.0.0/33", "fd00::1/64"])
def test_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match=r"empty pattern|is not a network"):
        parse_client_pattern(text)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("10.0.0.300", "0 to 255"),
        ("10.300.*", "0 to 255"),
        ("10.0..7", "0 to 255"),
        ("10.0.0.0.*", "four numbers"),
        ("010.0.0.1", "leading zeros"),
        ("192.168.1", '"192.168.1.*"'),
        ("192.168.1.", '"192.168.1.*"'),
        ("10.0.0.1-20", "10.0.0.0/24"),
        ("10.0.0.1-10.0.0.20", "10.0.0.0/24"),
        ("10.0.0.*/24", "host bits"),
        ("fd00::1::2", "correct"),
        ("10.0.0.7:80", "correct"),
        ("tv:80", "correct"),
        ("aa:bb:cc:dd:ee:fg", "correct"),
        ("aa:bb:cc:dd:ee:ff:00", "correct"),
        ("aa:bb:cc", '"aa:bb:cc:*"'),
        ("aa:bb:cc:", '"aa:bb:cc:*"'),
        ("phone:*", "hexadecimal"),
        ("10.0.0.9, tv", "quotation marks"),
        ("tv,aa:bb:cc:dd:ee:ff", "quotation marks"),
    ],
)
def test_what_looks_like_an_address_and_is_none(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=re.escape(remedy)):
        parse_client_pattern(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "10.0.*",
            "10.0.0.7?",
            "1*.2",
            "*.*",
            "7",
            "3com",
            "192-168-1-5",
            "tv.5e",
            "fe80::1%eth0",
            "fe80:*",
        ),
        *("*:*", "aa:bb:cc:*", "aa:bb:c[0-3]:*", "::ffff:10.0.0.7", "10.0.0.0/255.255.255.0"),
    ],
)
def test_what_may_be_an_address_or_a_name(text: str) -> None:
    assert str(parse_client_pattern(text)) == text


@pytest.mark.parametrize(
    ("text", "remedy"), [("b8:27:eb", '"b8:27:eb:*"'), ("b8", '"b8:*"'), ("tv", ":*"), ("10.0.0.7", ":*")]
)
def test_no_mac_pattern(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=re.escape(remedy)):
        parse_mac_pattern(text)


def test_mac_patterns_in_the_form_in_which_they_are_compared() -> None:
    assert parse_mac_pattern("B8-27-EB-0-0-1") == "b8:27:eb:00:00:01"
    assert parse_mac_pattern("B8:27:EB:*") == "b8:27:eb:*"


@given(st.text(), st.ip_addresses().map(str), st.text() | st.none())
def test_pattern_reads_back_and_never_raises_later(text: str, address: str, name: str | None) -> None:
    try:
        pattern = parse_client_pattern(text)
    except ValueError:
        return
    assert str(pattern) == text
    assert parse_client_pattern(str(pattern)) == pattern
    assert pattern.matches((address,), "aa:bb:cc:00:11:22", name) in {True, False}


@given(st.binary(min_size=6, max_size=6), st.sampled_from(":-"), st.booleans())
def test_every_spelling_of_a_mac_is_the_same(octets: bytes, separator: str, upper: bool) -> None:  # noqa: FBT001 - hypothesis hands it in
    spelled = separator.join(f"{octet:x}" for octet in octets)
    assert canonical_mac(spelled.upper() if upper else spelled) == octets.hex(":")


@pytest.mark.parametrize(
    "text", ["", "aa:bb:cc", "aa:bb:cc:dd:ee:ff:00", "ga:bb:cc:dd:ee:ff", "aabbccddeeff"]
)
def test_no_mac(text: str) -> None:
    assert canonical_mac(text) is None


@pytest.mark.parametrize(
    "text", ["10.0.0.7", "fe80::1%eth0", "tv", "nas.lan", "nas.lan.", "_x-1.local", "büro", "3com"]
)
def test_a_host(text: str) -> None:
    assert parse_host(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.300",
        "192.168.1",
        "10.0.0.0/8",
        "http://tv",
        "a b",
        "tv,phone",
        "",
        ".",
        "a..b",
        "x" * 64,
        "tv:80",
        "aa-bb-cc-dd-ee-ff",
        "10.0.0.1-20",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|empty"):
        parse_host(text)
