"""The meaning of the numbers of a drive, and which are credible; no other module decides this.

An attribute of an ATA drive is known by the name that smartctl gives it from its drive database (drivedb.h of
smartmontools). The number alone means nothing: 197 is Current_Pending_Sector on most drives and
Current_Pending_ECC_Cnt on Crucial's, and 225 is Load_Cycle_Count or Host_Writes_32MiB. An unlisted name, or a
number that does not fit its name, is unknown: no value is better than a false alarm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from powerd.smart.model import Attribute, Counter

_WORD: Final = 1 << 16
_PACKED: Final = 1 << 32
"""Raw values have 48 bits; a count from here on would be several numbers in one, or garbage."""
_MAX_COUNT: Final = (1 << 24) - 1
"""The largest credible count: 10 years of an event every 20 s. Seagate counts down to 4294967280 sectors."""


class CounterRule(NamedTuple):
    """How a counter is read from an attribute.

    Attributes:
        counter: the counter.
        numbers: the numbers that the attribute has on known drives.
        names: a pattern of its names in drivedb.h.
        maximum: the largest credible count.
        words: the raw value holds up to three counts of 16 bits; the lowest is this one.
    """

    counter: Counter
    numbers: tuple[int, ...]
    names: re.Pattern[str]
    maximum: int = _MAX_COUNT
    words: bool = False


_COUNTER_RULES: Final = (
    CounterRule(Counter.STARTS, (4,), re.compile(r"Start_Stop_Count")),
    # drivedb.h: 5,raw16(raw16): the count is the first number, and a second one in parentheses is the maker's
    CounterRule(
        Counter.REALLOCATED,
        (5,),
        re.compile(r"Realloc\w*_(Sector|Block|Blk|Blocks)_C\w*|Reallocate_NAND_Blk_Cnt|Retired_Block_Count"),
        _WORD - 1,
    ),
    # Seagate's, Hitachi's and Samsung's 187: 0x7b0003 and 0x600030000 are 3 and 0 (their value is near 100)
    CounterRule(
        Counter.REPORTED, (187,), re.compile(r"Reported_Unc\w*|Reported_UE_Counts"), _WORD - 1, words=True
    ),
    CounterRule(Counter.REPORTED, (187,), re.compile(r"Uncorrectable_(Error_Cnt|ECC_Ct)"), _WORD - 1),
    # 225 on old Fujitsu and Samsung drives
    CounterRule(Counter.LOADS, (193, 225), re.compile(r"Load_Cycle_Count")),
    CounterRule(
        Counter.PENDING, (197,), re.compile(r"(Current|Total)_Pending_Sectors?|Pending_Sector_Count")
    ),
    CounterRule(Counter.UNCORRECTABLE, (198,), re.compile(r"Offline_Uncorrectable")),
    CounterRule(Counter.CRC, (199,), re.compile(r"(UDMA_)?CRC_Error_Count")),
    # Kingston's holds other numbers above 16 bits: 0x80100
    CounterRule(Counter.CRC, (199, 210, 218), re.compile(r"SATA_(FIS_)?CRC_Error(s|_Count)?"), _WORD - 1),
)
_LEFT_IN_RAW: Final = re.compile(r"Remaining_Lifetime_Perc")
"""Silicon Motion's and Innodisk's: the percentage that is left is the value, or the raw value if the value
stays at 100. With a raw value of 0 it may be either; the erase counts decide.
"""
_USED_RAW: Final = re.compile(r"Perc(ent)?_(Rated_)?Life(time)?_Used|Drive_Life_Used%")
"""The percentage that is used up is the raw value."""
_LIFE_LEFT: Final = re.compile(r"SSD_Life_Left(_Perc)?")
"""The percentage that is left is the value, but Phison's firmware has three ways: the same in both (23, 23),
in the raw value only (100, 52), or in the raw value with what is used as the value (9, 91). Kingston's UV400
and ADATA's SU630 have the third one the other way round, so two values that make 100 are unknown.
"""
_REMAINING: Final = re.compile(
    r"Lifetime_Left|Remaining_Life|(Drive_?)?Life(time)?_Remaining(%|_Percent)"
    r"|(Perc|Percent|PCT)_(Rated_)?Life(time)?_Remain(ing)?|SSD_Remaining_Life_Perc"
)
"""The percentage that is left is the value, from 100 to 0."""
_AVERAGE_ERASURES: Final = re.compile(r"Average_Erase_Count")
_RATED_ERASURES: Final = re.compile(r"Max_Erase_Count_of_Spec")
"""Silicon Motion's: the erasures that each block is rated for."""
_MIN_RATED_ERASURES: Final = 100
_WEAR_LEVELING: Final = re.compile(r"Wear_Leveling_Count")
"""The value goes from 100 to 1 (Samsung, Micron, SK hynix). smartctl calls 177 so on every unlisted drive;
that of SandForce is 0 from the beginning.
"""
_INTEL_WEAROUT: Final = re.compile(r"Media_Wearout_Indicator")
"""Intel's 233: the value goes from 100 to 1, and the raw value is always 0 (Intel SSD DC S3500 specification,
table "SMART Attributes"). Others have this name from smartctl's default, with a raw value; WD's is 230.
"""
_MEDIA_WEAROUT: Final = 233
_FULL: Final = 100
_MAX_ATA_WEAR: Final = 254
"""255 is "unknown" of Intel's SandForce drives; ACS-4 counts to 255 (Percentage Used Endurance Indicator)."""
_GUESSED_WEAR: Final = re.compile(r"SSD_Life_Left.*|Wear_Leveling.*")
"""The attributes from whose value smartctl 7.5 guesses endurance_used (ataprint.cpp)."""
_TEMPERATURE: Final = re.compile(
    r"(Airflow_|Device_|Drive_|Case_)?Temperature(_Celsius|_Cel|_Internal|_Case)?"
)
_TEMPERATURES: Final = (194, 190)
_MAX_HOURS: Final = 30 * 365 * 24
"""Longer than ATA has had SMART; Intel's 330 and 520 begin at 894784 hours after a firmware error."""


def counters_of(attributes: Sequence[Attribute], *, solid_state: bool | None) -> dict[Counter, int]:
    """The counters in an ATA drive's attributes.

    Args:
        attributes: of the drive.
        solid_state: the drive has no spindle; None = unknown.
    """
    counts: dict[Counter, int] = {}
    for attribute in attributes:
        for rule in _COUNTER_RULES:
            if attribute.number in rule.numbers and rule.names.fullmatch(attribute.name):
                count = _count_of(attribute, rule)
                if count is not None:
                    counts.setdefault(rule.counter, count)
    if solid_state and counts.get(Counter.PENDING) == counts.get(Counter.REALLOCATED):
        counts.pop(Counter.PENDING, None)  # Silicon Motion's 197 repeats 5: blocks that are replaced already
    return counts


def _count_of(attribute: Attribute, rule: CounterRule) -> int | None:
    """The count in a raw value; None = it does not hold one."""
    raw = re.match(r"(\d+)(?: \((\d+) (\d+)\))?", attribute.raw)
    if raw is None or attribute.raw.startswith("0x"):
        return None
    count = int(raw[1])
    if rule.words and not _is_garbage(count):
        count %= _WORD
    if count > rule.maximum or _is_garbage(count) or raw[2] not in {None, "0"} or raw[3] not in {None, "0"}:
        return None
    # A percentage: the raw value repeats the normalised one
    return None if rule.counter is Counter.REALLOCATED and count == _FULL == attribute.value else count


def _is_garbage(raw: int) -> bool:
    """Whether a number of 32 or 48 bits has equal bytes: all ones, or a pattern such as 0x64646464."""
    width = 6 if raw >= _PACKED else 4
    return raw > _MAX_COUNT and len(set(raw.to_bytes(max(width, (raw.bit_length() + 7) // 8), "big"))) == 1


def wear_of(
    attributes: Sequence[Attribute], statistics: int | None = None, reported: int | None = None
) -> int | None:
    """Percent of its rated life that an SSD has used up, by ATA; may exceed 100, None = unknown.

    Args:
        attributes: of the drive.
        statistics: the Percentage Used Endurance Indicator of the Device Statistics (ACS-3).
        reported: smartctl's ``endurance_used.current_percent``: from there, or guessed.
    """
    known = [used for attribute in attributes if (used := _wear_in(attribute)) is not None]
    erasures, rated = (
        next((int(each.raw) for each in attributes if name.fullmatch(each.name) and _is_number(each.raw)), 0)
        for name in (_AVERAGE_ERASURES, _RATED_ERASURES)
    )
    if _MIN_RATED_ERASURES <= rated <= _MAX_COUNT and erasures <= _MAX_COUNT:
        known.append(min(_FULL * erasures // rated, _MAX_ATA_WEAR))
    guesses = {max(_FULL - (each.value or 0), 0) for each in attributes if _GUESSED_WEAR.fullmatch(each.name)}
    standard = (statistics, reported if reported not in guesses else None)
    known += [used for used in standard if used is not None and 0 <= used <= _MAX_ATA_WEAR]
    return max(known, default=None)  # the lower one is of an attribute that the firmware does not maintain


def _is_number(raw: str) -> bool:
    return raw.isascii() and raw.isdigit()


def _wear_in(attribute: Attribute) -> int | None:
    """Percent used up, by one attribute; None = unknown."""
    raw = int(attribute.raw) if _is_number(attribute.raw) else None
    if _USED_RAW.fullmatch(attribute.name):
        return raw if raw is not None and raw <= _MAX_ATA_WEAR else None
    if attribute.value is None or not 0 <= attribute.value <= _FULL:
        return None
    left = _life_left(attribute, attribute.value, raw)
    return None if left is None else _FULL - left


def _life_left(attribute: Attribute, value: int, raw: int | None) -> int | None:
    """Percent of its rated life that is left, by one attribute; None = unknown."""
    name = attribute.name
    in_raw = raw if value == _FULL and raw is not None and raw <= _FULL else None
    if _LIFE_LEFT.fullmatch(name):
        ambiguous = raw is not None and value + raw == _FULL and value != raw
        return None if ambiguous else value if in_raw is None else in_raw
    if _LEFT_IN_RAW.fullmatch(name):
        return value if in_raw is None else in_raw or None
    if _REMAINING.fullmatch(name):
        return value
    reaches_one = _WEAR_LEVELING.fullmatch(name) or (
        attribute.number == _MEDIA_WEAROUT and raw == 0 and _INTEL_WEAROUT.fullmatch(name)
    )
    return value if reaches_one and value else None


def is_temperature(attribute: Attribute) -> bool:
    """Whether an attribute is the temperature of the drive, or of the air in it."""
    return _TEMPERATURE.fullmatch(attribute.name) is not None


def temperature_of(attributes: Sequence[Attribute]) -> int | None:
    """Degrees Celsius, from the first number of a raw value such as ``31 (Min/Max 24/36)``."""
    return next(filter(None, map(credible_temperature, _raw_temperatures(attributes))), None)


def _raw_temperatures(attributes: Sequence[Attribute]) -> Iterator[int]:
    for number in _TEMPERATURES:
        for attribute in attributes:
            if attribute.number == number and is_temperature(attribute):
                yield from (int(digits) & 0xFF for digits in re.findall(r"^\d+", attribute.raw))


def credible_temperature(celsius: int | None) -> int | None:
    """The temperature if a running drive can have it: smartctl takes 1 to 127 as well (atacmds.cpp)."""
    return celsius if celsius is not None and 0 < celsius < 128 else None  # noqa: PLR2004 - as smartctl


def credible_temperature_limit(celsius: int | None) -> int | None:
    """A drive's own limit if a drive can have it; 0 is "no limit" of SCSI (SPC-4, Temperature log page)."""
    return celsius if celsius is not None and 40 <= celsius <= 120 else None  # noqa: PLR2004 - of data sheets


def credible_hours(hours: int | None) -> int | None:
    """Power-on hours if a drive can have them."""
    return hours if hours is not None and 0 <= hours <= _MAX_HOURS else None


def self_test_hours(logged: Sequence[int | None], power_on_hours: int | None) -> Iterator[int | None]:
    """The power-on hours of the entries of an ATA self-test log, newest first.

    An entry has 16 bits, so its hours begin again after 65,536 (ACS-3, "LIFE TIMESTAMP"): they are the latest
    that are possible before the entry above. An entry from the future is unknown.
    """
    latest = power_on_hours
    for hours in logged:
        if hours is None or latest is None:
            yield hours
            continue
        latest_possible = hours + max(latest + 1 - hours, 0) // _WORD * _WORD
        if latest_possible > latest + 1:  # an attribute in minutes or half hours is rounded
            yield None
            continue
        latest = latest_possible
        yield latest


_SOLID_STATE: Final = re.compile("|".join(
    each.pattern
    for each in (_LEFT_IN_RAW, _USED_RAW, _LIFE_LEFT, _REMAINING, _WEAR_LEVELING, _INTEL_WEAROUT)
))  # fmt: skip
_SMALL: Final = re.compile(r"(<?\s?1\.[08]|2\.5) inches")
_DURABLE: Final = re.compile(
    r"WD\d+([EFKV]F|F[A-Z9]Y|A[A-Z]Y|[BKV][A-Z]Y)[A-Z]+\b.*"  # WD Red, Gold, RE: EFRX, KFGX, FYYZ, ABYS
    r"|ST\d+(VN|NE|NT|NM)\d.*"  # Seagate IronWolf, NAS HDD, Exos, Constellation
    r"|(HUA|HUH|HUS|WUH|WUS|HDN)\d.*"  # Ultrastar, Deskstar NAS
    r"|(MG|MN)\d\d.*|HDW[GNQ]\d.*|HAT\d.*"  # Toshiba MG, MN, N300, and Synology's
    # Drives of 2.5 inches, many of which are too old to report their form factor
    r"|(HTS|HTE|IC25|MHZ|MK\d|MQ\d|HM\d|ST9).*|ST\d+L[MTX].*|WD\d+[BJLMNST][A-Z]{3}\b.*"
)
RATED_LOADS: Final = 300_000
"""Head loads that every drive is rated for, if neither the drive nor its kind is known to bear more."""
_DURABLE_LOADS: Final = 600_000


def is_solid_state(attributes: Sequence[Attribute]) -> bool | None:
    """True if an attribute is one of SSDs; for drives that do not report their rotation rate."""
    return any(_SOLID_STATE.fullmatch(each.name) for each in attributes) or None


def rated_loads(model: str, form_factor: str) -> int:
    """How often an ATA drive may load its heads, by the data sheets of its kind.

    600,000 times for drives of 2.5 inches and those made for NAS and servers, 300,000 times for others.
    """
    name = re.sub(r"^(WDC|TOSHIBA|HGST|Hitachi|Seagate|FUJITSU|SAMSUNG|APPLE HDD|Synology) ", "", model)
    durable = _SMALL.fullmatch(form_factor) or _DURABLE.fullmatch(name)
    return _DURABLE_LOADS if durable else RATED_LOADS
