"""The text of ``powerd wakes``, and the users of a disk, made from the API's JSON."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from powerd.attribution.view.names import name_culprit
from powerd.disks.view.table import STOPPED
from powerd.ui.layout import (
    Paint,
    Style,
    TextTable,
    cut,
    format_duration,
    format_time,
    hanging_lines,
    join_lines,
    line_width,
    no_color,
    paragraph_lines,
    sanitize,
)

if TYPE_CHECKING:
    from powerd.ui.schema import AccessedJson, AccessJson, DiskJson, StatusJson, WakeJson, WatchJson

_GROUPS: Final = TextTable(
    ("DISK", "WOKEN BY", "HOW OFTEN", "LAST", "WHERE"),
    styled_column=1,
    shrinkable=((4, 12), (1, 16), (0, 8)),
)
_WAKES: Final = TextTable(
    ("DISK", "AT", "SLEPT", "WOKEN BY", "PROCESS", "OPERATION", "SURE"),
    styled_column=6,
    shrinkable=((3, 12), (4, 12), (0, 8), (5, 6)),
)
_USERS: Final = TextTable(
    ("DISK", "USED BY", "PROCESS", "ACCESSES", "LAST", "SURE"),
    styled_column=5,
    shrinkable=((1, 16), (3, 16), (2, 12), (0, 8)),
)
_SURE_STYLES: Final[dict[str, Style]] = {"certain": "good", "likely": "doubt", "unknown": "dim"}
DOCTOR_HINT: Final = "`powerd doctor` looks for causes on this machine that can be removed."
MAX_GROUPS: Final = 12
"""Culprits that are listed."""
_MAX_WAKES: Final = 12
MAX_USERS: Final = 5
"""Users that are listed per disk."""
_INDENT: Final = 6
MAX_NAME: Final = 60
"""Characters of a unit in a sentence; systemd allows 255."""
_DAY: Final = 86_400.0
_MINUTE: Final = 60.0
_LEVELS: Final = {
    "counters": "shows that a disk was used, but not by what",
    "cgroups": "names the unit that used a disk",
    "trace": "names unit, process, operation and inode",
    "files": "names unit, process, operation and path",
}
_NOUNS: Final = {"create": "creation", "delete": "deletion", "attributes": "change of attributes"}
_PLURALS: Final = {"access": "accesses", "flush": "flushes", "attributes": "changes of attributes"}
_STOPPED: Final = STOPPED | {"excluded"}


class WakeGroup(NamedTuple):
    """The wakes of one disk by one culprit.

    Attributes:
        disk: its device name, or its id if it is detached.
        name: of the culprit, for people.
        frequency: ``24 times a day``.
        last: the latest wake.
        where: the path, or the directory that all paths have in common; "" = unknown.
    """

    disk: str
    name: str
    frequency: str
    last: WakeJson
    where: str


def wakes_text(wakes: Sequence[WakeJson], status: StatusJson, paint: Paint = no_color) -> str:
    """The output of ``powerd wakes``: wakes grouped by culprit, the last ones, and the level in force."""
    now = datetime.fromisoformat(status["now"])
    if not wakes:
        return join_lines([*paragraph_lines(_no_wakes(status)), *_watch_lines(status["watch"], paint)])
    lines = [*_group_lines(wakes, now, paint), *_last_lines(wakes, now, paint), ""]
    lines += paragraph_lines(DOCTOR_HINT)
    return join_lines([*lines, *_watch_lines(status["watch"], paint)])


def busy_text(accesses: Sequence[AccessJson], status: StatusJson, paint: Paint = no_color) -> str:
    """The output of ``powerd wakes --busy``: what has used each disk within the last hour, the most first."""
    now = datetime.fromisoformat(status["now"])
    lines = (
        [*_user_lines(accesses, now, paint)]
        if accesses
        else [*paragraph_lines("No access to a disk is recorded in the last hour.")]
    )
    return join_lines([*lines, *_watch_lines(status["watch"], paint)])


def users_text(accesses: Sequence[AccessJson], status: StatusJson, paint: Paint = no_color) -> str:
    """The part of ``powerd disks`` about disks in use; "" if there is none."""
    sentences = use_sentences(accesses, status["disks"], datetime.fromisoformat(status["now"]))
    if not sentences:
        return ""
    return join_lines(
        [
            "",
            paint("In use:", "strong"),
            *(line for text in sentences for line in paragraph_lines(text, 2)),
            "",
            *paragraph_lines(DOCTOR_HINT),
        ]
    )


def disk_users_text(
    wakes: Sequence[WakeJson], accesses: Sequence[AccessJson], status: StatusJson, paint: Paint = no_color
) -> str:
    """The part of ``powerd disks DISK`` about what has used the disk, and what has woken it."""
    now = datetime.fromisoformat(status["now"])
    lines = ["", *_user_lines(accesses, now, paint)] if accesses else []
    lines += _last_lines(wakes, now, paint) if wakes else ()
    lines += ["", *paragraph_lines(DOCTOR_HINT)] if lines else ()
    return join_lines([*lines, *_watch_lines(status["watch"], paint)])


def use_sentences(accesses: Sequence[AccessJson], disks: Iterable[DiskJson], now: datetime) -> list[str]:
    """``sdb: not idle: jellyfin.service, 3 reads/min`` for each disk that a program keeps from spinning down.

    That is the culprit with the most accesses, of those whose last access is not yet ``spin_down_after`` ago.
    """
    sentences = list[str]()
    for disk in disks:
        users = [
            each
            for each in accesses
            if each["disk"] == disk["id"]
            and not each["own"]
            and (now - datetime.fromisoformat(each["last"])).total_seconds() < disk["spin_down_after"]
        ]
        if users and disk["state"] not in _STOPPED:
            more = f", and {len(users) - 1} more" if len(users) > 1 else ""
            name = cut(culprit_name(users[0]), MAX_NAME)
            sentences.append(f"{disk['device']}: not idle: {name}, {rate_text(users[0], now)}{more}")
    return sentences


def watch_text(watch: WatchJson) -> str:
    """What the level in force shows, and why it is no better."""
    reason = f"; {watch['reason']}" if watch["reason"] else ""
    return f"{watch['level']}: {_LEVELS.get(watch['level'], 'unknown')}{reason}"


def group_wakes(wakes: Sequence[WakeJson], now: datetime) -> list[WakeGroup]:
    """The wakes by disk and culprit, the most frequent first.

    Args:
        wakes: newest first.
        now: the server's time.
    """
    groups: dict[tuple[str, str], list[WakeJson]] = {}
    oldest = dict[str, str]()
    for wake in wakes:
        groups.setdefault((wake["disk"], culprit_name(wake)), []).append(wake)
        oldest[wake["disk"]] = wake["at"]
    return [
        WakeGroup(
            _disk_name(group[0]),
            name,
            frequency_text(len(group), (now - datetime.fromisoformat(oldest[disk])).total_seconds()),
            group[0],
            common_path([each["path"] for each in group if each["path"]]),
        )
        for (disk, name), group in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def culprit_name(row: AccessedJson) -> str:
    """The culprit of a wake or an access, for people."""
    return name_culprit(row["unit"] or "", row["owner"] or "", row["comm"] or "", own=row["own"])


def place_text(row: AccessedJson) -> str:
    """The path, or ``inode 1234``; "" = neither is known."""
    return row["path"] or (f"inode {row['inode']}" if row["inode"] else "")


def process_text(row: AccessedJson) -> str:
    """``cron 812``; ``-`` if it is unknown."""
    return " ".join(filter(None, (row["comm"], str(row["pid"] or "")))) or "-"


def frequency_text(count: int, seconds: float) -> str:
    """``24 times a day``; ``3 times in 5 h`` for less than a day, or less than once a day.

    Args:
        count: of wakes.
        seconds: since the record of the disk begins.
    """
    if count == 1:
        return "once"
    if seconds > _DAY and count * _DAY >= 2 * seconds:
        return f"{count * _DAY / seconds:.0f} times a day"
    return f"{count} times in {format_duration(seconds, max_units=1)}"


def common_path(paths: Sequence[str]) -> str:
    """The path if all are equal, otherwise the directory that they have in common; "" = unknown.

    If that is the root directory, it is the most frequent path, with the number of the others.
    """
    if not paths:
        return ""
    first = Counter(paths).most_common(1)[0][0]
    others = len(set(paths)) - 1
    absolute = all(path.startswith("/") for path in paths)
    directory = posixpath.commonpath(paths) if absolute else "/"
    return directory if directory != "/" or not others else f"{first} and {others} more"


def rate_text(access: AccessJson, now: datetime) -> str:
    """``3 reads/min``; ``5 reads in 40 min`` for less than one a minute, since the first one."""
    op, count = access["op"] or "access", access["count"]
    seconds = max((now - datetime.fromisoformat(access["since"])).total_seconds(), _MINUTE)
    rate = round(count * _MINUTE / seconds)
    noun = _NOUNS.get(op, op)
    nouns = noun if max(rate, 1 if rate else count) == 1 else _PLURALS.get(op, f"{noun}s")
    return f"{rate} {nouns}/min" if rate else f"{count} {nouns} in {format_duration(seconds, max_units=1)}"


def _disk_name(row: AccessedJson) -> str:
    return row["device"] or row["disk"]


def _no_wakes(status: StatusJson) -> str:
    if all(disk["state"] == "excluded" for disk in status["disks"]):
        return "No disk that can be spun down is known."
    return "No wake of a disk is recorded yet."


def _group_lines(wakes: Sequence[WakeJson], now: datetime, paint: Paint) -> Iterator[str]:
    groups = group_wakes(wakes, now)
    rows = [
        (
            sanitize(group.disk),
            sanitize(group.name),
            group.frequency,
            _time(group.last["at"], now),
            sanitize(group.where) or "-",
        )
        for group in groups[:MAX_GROUPS]
    ]
    yield from _GROUPS.format_lines(rows, ["strong"] * len(rows), paint)
    if len(groups) > MAX_GROUPS:
        yield paint(f"and {len(groups) - MAX_GROUPS} more", "dim")


def _last_lines(wakes: Sequence[WakeJson], now: datetime, paint: Paint) -> Iterator[str]:
    """A table of the last wakes, each with its path, and with the explanation if that is a new one."""
    shown = wakes[:_MAX_WAKES]
    rows = [
        (
            sanitize(_disk_name(wake)),
            _time(wake["at"], now),
            "-" if wake["slept_for"] is None else format_duration(wake["slept_for"], max_units=1),
            sanitize(culprit_name(wake)),
            sanitize(process_text(wake)),
            sanitize(wake["op"] or "-"),
            wake["sure"],
        )
        for wake in shown
    ]
    header, *lines = _WAKES.format_lines(rows, [_SURE_STYLES.get(wake["sure"]) for wake in shown], paint)
    yield from ("", paint("Last wakes:", "strong"), header)
    explained = set[str]()
    for line, wake in zip(lines, shown, strict=True):
        yield line
        yield from _place_lines(wake, paint)
        if wake["explanation"] and wake["explanation"] not in explained:
            explained.add(wake["explanation"])
            yield from (paint(each, "dim") for each in paragraph_lines(wake["explanation"], _INDENT))
    if len(wakes) > _MAX_WAKES:
        text = f"and {len(wakes) - _MAX_WAKES} more: see `powerd wakes --json`"
        yield from (paint(line, "dim") for line in paragraph_lines(text))


def _user_lines(accesses: Sequence[AccessJson], now: datetime, paint: Paint) -> Iterator[str]:
    by_disk: dict[str, list[AccessJson]] = {}
    for each in accesses:
        by_disk.setdefault(_disk_name(each), []).append(each)
    shown = [each for group in by_disk.values() for each in group[:MAX_USERS]]
    rows = [
        (
            sanitize(_disk_name(each)),
            sanitize(culprit_name(each)),
            sanitize(process_text(each)),
            sanitize(rate_text(each, now)),
            _time(each["last"], now),
            each["sure"],
        )
        for each in shown
    ]
    header, *lines = _USERS.format_lines(rows, [_SURE_STYLES.get(each["sure"]) for each in shown], paint)
    yield from (paint("Accesses in the last hour:", "strong"), header)
    for line, each in zip(lines, shown, strict=True):
        yield line
        yield from _place_lines(each, paint)
    more = [
        f"{len(group) - MAX_USERS} of {disk}" for disk, group in by_disk.items() if len(group) > MAX_USERS
    ]
    if more:
        yield from (paint(line, "dim") for line in paragraph_lines(f"and further users: {', '.join(more)}"))
    if any(each["own"] for each in shown):
        text = "Accesses of powerd itself do not count as use."
        yield from ("", *(paint(line, "dim") for line in paragraph_lines(text)))


def _place_lines(row: AccessedJson, paint: Paint) -> Iterator[str]:
    if place := place_text(row):
        yield paint(" " * _INDENT + cut(sanitize(place), line_width() - _INDENT), "dim")


def _watch_lines(watch: WatchJson | None, paint: Paint) -> Iterator[str]:
    if watch is not None:
        yield ""
        yield from (paint(line, "dim") for line in hanging_lines("Level ", watch_text(watch)))


def _time(at: str, now: datetime) -> str:
    return format_time(datetime.fromisoformat(at), now)
