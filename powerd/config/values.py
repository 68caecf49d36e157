"""Values inside configuration strings: durations, time windows, weekly times and client patterns.

Each ``parse_*`` raises ValueError with one clause; ``format_*`` or ``str()`` writes a text that parses to the
same value.
"""

from __future__ import annotations

import re
from dataclasses import field
from fnmatch import translate
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from powerd.core.dataclass import dataclass

MINUTE: Final = 60
DAY: Final = 24 * 60 * MINUTE
_UNITS: Final = {"d": 86400, "h": 3600, "min": 60, "s": 1}
_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)min)?(?:(\d+(?:\.\d+)?)s)?")
_MAX_DURATION: Final = 10 * 366 * 86400
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?")
_TIMER: Final = re.compile(r"[A-Za-z0-9:_.\\@-]{1,249}\.timer")
"""A unit name (systemd.unit(5)): the allowed characters, at most 255."""
_MAC: Final = re.compile(r"[0-9a-f]{1,2}([:-][0-9a-f]{1,2}){5}", re.IGNORECASE)
_PART_OF_MAC: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){0,4}:?", re.IGNORECASE)
_NUMBERS: Final = re.compile(r"\d+|[\d.-]*\.[\d.-]*")
"""What can be meant as an IPv4 address or a range of them only: no domain ends in a number (RFC 3696, 2)."""
_IPV4_GLOB: Final = re.compile(r"[0-9*?]*(\.[0-9*?]*)+")
_COLON_GLOB: Final = re.compile(r"[0-9a-f:.*?\[\]!-]*(%.*)?", re.IGNORECASE)
_ADDRESS_AND_PREFIX: Final = re.compile(r"[\d.*]+/.*|[0-9a-f:.*]*:[0-9a-f:.*]*/.*", re.IGNORECASE)
_MAX_OCTET: Final = 255


def parse_duration(text: str) -> float:
    """Parse ``"90s"``, ``"20min"``, ``"1h30min"``, ``"7d"``, ``"0s"``.

    Raises:
        ValueError: the text has another form.
    """
    match = _DURATION.fullmatch(text.replace(" ", ""))
    if not text.strip() or match is None:
        raise ValueError(f'"{text}" is not a duration; write it like "90s", "20min", "1h30min" or "7d"')
    seconds = sum(float(n) * unit for n, unit in zip(match.groups(default="0"), _UNITS.values(), strict=True))
    if seconds > _MAX_DURATION:
        raise ValueError(f'"{text}" is longer than ten years; write less')
    return round(seconds, 3)


def format_duration(seconds: float) -> str:
    """The shortest text that parse_duration() accepts, e.g. ``1h30min``, to the millisecond."""
    rest = round(seconds, 3)
    if rest <= 0:
        return "0s"
    parts = []
    for unit, size in _UNITS.items():
        count = rest if unit == "s" else rest // size
        if count:
            parts.append(f"{count:g}{unit}" if unit == "s" else f"{int(count)}{unit}")
        rest = 0 if unit == "s" else round(rest - count * size, 3)
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A window of local time on some days, e.g. ``Fri,Sat 01:30-10:00``.

    Attributes:
        days: weekdays on which the window starts, 0 = Monday.
        start, end: minutes after midnight, 0 to 1440; the window runs past midnight if ``end <= start``.
    """

    days: frozenset[int]
    start: int
    end: int

    def __str__(self) -> str:
        times = f"{_format_time(self.start)}-{_format_time(self.end)}"
        return times if len(self.days) == len(DAYS) else f"{_format_days(self.days)} {times}"


def parse_window(text: str) -> TimeWindow:
    """Parse ``"00:00-08:00"``, ``"Mon-Fri 22:30-06:00"``, ``"Sat,Sun 09:00-24:00"``.

    Raises:
        ValueError: the text has another form.
    """
    days_text, _, times = text.strip().rpartition(" ")
    start, dash, end = times.partition("-")
    if not (dash and _TIME.fullmatch(start) and _TIME.fullmatch(end)):
        raise ValueError(f'"{text}" is not a window; write it like "00:00-08:00" or "Fri,Sat 01:30-10:00"')
    if start == end:
        raise ValueError(f'"{text}" begins and ends at the same time; for a whole day write "00:00-24:00"')
    if start == "24:00":
        raise ValueError(f'"{text}" begins at 24:00; write 00:00 and the day after')
    return TimeWindow(_parse_days(days_text, text), _minutes(start), _minutes(end))


@dataclass(frozen=True, slots=True)
class WeeklyTime:
    """A local time of day on some days, e.g. ``Mon-Fri 06:30``.

    Attributes:
        days: weekdays, 0 = Monday.
        minute: minutes after midnight, 0 to 1439.
    """

    days: frozenset[int]
    minute: int

    def __str__(self) -> str:
        time = _format_time(self.minute)
        return time if len(self.days) == len(DAYS) else f"{_format_days(self.days)} {time}"


def parse_weekly_time(text: str) -> WeeklyTime:
    """Parse ``"06:30"``, ``"Mon-Fri 06:30"``, ``"Sat,Sun 09:00"``.

    Raises:
        ValueError: the text has another form.
    """
    days_text, _, time = text.strip().rpartition(" ")
    if not _TIME.fullmatch(time):
        raise ValueError(f'"{text}" is not a time of day; write it like "06:30" or "Mon-Fri 06:30"')
    if time == "24:00":
        raise ValueError(f'"{text}" is the end of a day; write 00:00 and the day after')
    return WeeklyTime(_parse_days(days_text, text), _minutes(time))


def parse_timer(text: str) -> str:
    """Check the name of a systemd timer, ``"backup.timer"``, or ``"auto"``.

    Raises:
        ValueError: the text is neither.
    """
    if text != "auto" and not _TIMER.fullmatch(text):
        raise ValueError(f'"{text}" is not a timer; write its full name, such as "backup.timer", or "auto"')
    return text


def _parse_days(days: str, text: str) -> frozenset[int]:
    if not days.strip():
        return frozenset(range(len(DAYS)))
    found: set[int] = set()
    for part in days.split(","):
        names = [name.strip().capitalize() for name in part.split("-")]
        unknown = [name for name in names if name not in DAYS]
        if unknown or len(names) > 2:  # noqa: PLR2004 - a range has two ends
            raise ValueError(f'"{text}": "{part.strip()}" is not a day; write {", ".join(DAYS)}')
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        found.update((first + i) % len(DAYS) for i in range((last - first) % len(DAYS) + 1))
    return frozenset(found)


def _format_days(days: frozenset[int]) -> str:
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(_format_day_range([DAYS[day] for day in run]) for run in runs)


def _format_day_range(names: list[str]) -> str:
    return ",".join(names) if len(names) <= 2 else f"{names[0]}-{names[-1]}"  # noqa: PLR2004 - two are not a range


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def _format_time(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def is_address(text: str) -> bool:
    """Whether this is an IPv4 or IPv6 address, as ``10.0.0.1``, ``fd00::1`` or ``fe80::1%eth0``."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def parse_host(text: str) -> str:
    """Check an IP address or a host name (RFC 1123, 2.1); underscores and letters of any script are allowed.

    Raises:
        ValueError: it is neither.
    """
    if is_address(text):
        return text
    if not text.strip():
        raise ValueError("must not be empty; remove it")
    if not _HOST_NAME.fullmatch(text) or canonical_mac(text) or _NUMBERS.fullmatch(text):
        raise ValueError(
            f'"{text}" is neither an IP address nor a host name; write it like "192.168.1.20" or "tv.lan"'
        )
    return text


_MAX_DISPLAY_NAME: Final = 63


def parse_display_name(text: str) -> str:
    """Check a name that people read, such as ``living room TV``.

    Raises:
        ValueError: it is empty, too long, or has control characters.
    """
    name = text.strip()
    if not name or not name.isprintable() or len(name) > _MAX_DISPLAY_NAME:
        raise ValueError(
            f"is not a name; write 1 to {_MAX_DISPLAY_NAME} characters, without control characters"
        )
    return name


def canonical_mac(text: str) -> str | None:
    """``aa:bb:cc:dd:ee:ff`` of any notation of a MAC address with ``:`` or ``-``; None for other texts."""
    if not _MAC.fullmatch(text):
        return None
    return ":".join(f"{int(part, 16):02x}" for part in re.split("[:-]", text))


@dataclass(frozen=True, slots=True)
class ClientPattern:
    """Matches a client by IP, CIDR, MAC or host name; ``*`` in the last two matches any text."""

    text: str
    _network: IPv4Network | IPv6Network | None = field(default=None, compare=False, repr=False)
    _glob: re.Pattern[str] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    def matches(self, addresses: tuple[str, ...], mac: str | None, name: str | None) -> bool:
        """Whether an address, the MAC, or the name (complete, or its first label) matches."""
        if self._network is not None:
            return any(ip_address(address) in self._network for address in addresses)
        glob = self._glob
        names = (name, name.partition(".")[0]) if name else ()
        return glob is not None and any(
            word is not None and glob.fullmatch(word.lower()) is not None
            for word in (*addresses, mac, *names)
        )


def is_network(text: str) -> bool:
    """Whether this is an IP address or a network such as ``10.0.0.0/24``."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def is_url_host(host: str) -> bool:
    """Whether what can only be an address in a URL is one: ``[...]`` IPv6, digits and dots IPv4."""
    return not re.fullmatch(r"\[.*\]|[\d.]+", host) or is_address(host.strip("[]"))


def parse_address(text: str) -> str:
    """Check an IP address, and return its canonical text.

    Raises:
        ValueError: it is none.
    """
    if not is_address(text):
        raise ValueError(f'"{text}" is not an IP address; write it like "192.168.1.20"')
    return str(ip_address(text))


def parse_network(text: str) -> str:
    """Check an IP address or a network such as ``10.0.0.0/24``, and return its canonical text.

    Raises:
        ValueError: it is neither.
    """
    require_possible_address(text)
    if not is_network(text):
        raise ValueError(f'"{text}" is neither an IP address nor a network; write it like 10.0.0.0/24')
    return str(ip_network(text))


def parse_mac_pattern(text: str) -> str:
    """Check a MAC address, or a part of one with ``*`` or ``?``, and return it in lower case with colons.

    Raises:
        ValueError: it is neither.
    """
    pattern = canonical_mac(text) or text.lower()
    if not re.fullmatch("[0-9a-f:*?]+", pattern) or _PART_OF_MAC.fullmatch(pattern):
        remedy = f"{pattern.rstrip(':')}:*" if _PART_OF_MAC.fullmatch(pattern) else "b8:27:eb:*"
        raise ValueError(f'"{text}" is not a MAC address; write it like "{remedy}"')
    return pattern


def require_possible_address(text: str) -> None:
    """Check a pattern that can be meant only as an IP address, a network or a MAC; accept any other.

    A host name contains neither ``:`` nor ``/``, and does not consist of numbers and dots.

    Raises:
        ValueError: it matches no address.
    """
    if is_network(text) or canonical_mac(text):
        return
    if "," in text and any(is_network(each) or canonical_mac(each) for each in re.split(r"[,\s]+", text)):
        what = "is more than one address; put each into quotation marks of its own"
    elif _ADDRESS_AND_PREFIX.fullmatch(text):
        what = "is not a network; check its prefix length and that its host bits are zero"
    elif ":" in text and _PART_OF_MAC.fullmatch(text):
        what = f'is only a part of a MAC address; write "{text.rstrip(":")}:*"'
    elif ":" in text and not ("*" in text or "?" in text or "[" in text):
        what = "is neither an IPv6 address nor a MAC address; correct it"
    elif ":" in text and not _COLON_GLOB.fullmatch(text):
        what = "is no pattern of IPv6 or MAC addresses; write hexadecimal digits, colons and *"
    elif _IPV4_GLOB.fullmatch(text) and any(map(str.isdigit, text)):
        what = _ipv4_fault(text)
    elif _NUMBERS.fullmatch(text) and "." in text:
        what = "is not a network; write it like 10.0.0.0/24, or each address"
    else:
        return
    if what:
        raise ValueError(f'"{text}" {what}')


def _ipv4_fault(pattern: str) -> str:
    """Why a pattern of digits, dots and ``*`` matches no IPv4 address; "" = it may."""
    numbers = pattern.rstrip(".").split(".")
    is_glob = "*" in pattern or "?" in pattern
    if any(each == "" or (each.isdigit() and int(each) > _MAX_OCTET) for each in numbers):
        return "is not an IPv4 address; write four numbers from 0 to 255"
    if len(numbers) < 4 and not is_glob:  # noqa: PLR2004 - the numbers of an IPv4 address
        return f'is only a part of an IPv4 address; write "{".".join(numbers)}.*"'
    if len(numbers) > 4 or not is_glob:  # noqa: PLR2004 - the numbers of an IPv4 address
        return "is not an IPv4 address; write four numbers from 0 to 255, without leading zeros"
    return ""


def parse_client_pattern(text: str) -> ClientPattern:
    """Parse ``"10.0.0.192/27"``, ``"10.0.0.7"``, ``"aa:bb:cc:*"`` or ``"printer*"``.

    Raises:
        ValueError: it is empty, or looks like an address but matches none.
    """
    pattern = text.strip()
    if not pattern:
        raise ValueError("an empty pattern matches nothing; remove it")
    require_possible_address(pattern)
    if is_network(pattern):
        return ClientPattern(text, _network=ip_network(pattern))
    return ClientPattern(text, _glob=re.compile(translate(canonical_mac(pattern) or pattern.lower())))
