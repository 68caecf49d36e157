"""What ``powerd disks`` says, made from the API's JSON: a table and notes; 80 columns. Pure and light."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from powerd.faces.columns import GAP, Table
from powerd.faces.shapes import DiskJson, StatusJson
from powerd.faces.words import (
    Paint,
    Style,
    clock,
    hanging,
    harmless,
    joined,
    listed,
    pad,
    paragraph,
    plain,
    span,
    width,
)

_DISK, _STATE, _GROUP, _MODEL = 0, 1, 7, 8
_TABLE: Final = Table(
    ("DISK", "STATE", "SINCE", "IDLE FOR", "STANDS BY", "STARTS", "BY", "GROUP", "MODEL"),
    coloured=_STATE,
    gives=((_MODEL, 8), (_GROUP, 5), (_MODEL, 1), (_STATE, 7), (_DISK, 8)),
)
_DISK_MOST: Final = 12
_STYLES: Final[dict[str, Style]] = {
    "standby": "good",
    "sleeping": "good",
    "suspended": "good",
    "unknown": "doubt",
    "unsupported": "doubt",
    "hung": "bad",
}
_WORKED: Final = {"ata": "ATA", "scsi": "SCSI"}
NAMED: Final = 6
"""Disks spelled out in a note before it only counts the rest."""


def disks_text(status: StatusJson, paint: Paint = plain) -> str:
    """What ``powerd disks`` prints: those that may stand by, what each waits for, and those left alone."""
    now = datetime.fromisoformat(status["now"])
    ours, alone = split(status["disks"])
    if not ours:
        lines = ["No disk that could stand by is known."]
    else:
        styles = [_STYLES.get(disk["state"]) for disk in ours]
        table = _TABLE.lines([_row(disk, now) for disk in ours], styles, paint)
        lines = [*table, "", *_names(ours, paint)]
    lines += _waiting(ours, paint)
    lines += _left_alone(alone, paint)
    return joined(lines)


def split(disks: list[DiskJson]) -> tuple[list[DiskJson], list[DiskJson]]:
    """Those that powerd has to do with, and those that it leaves alone."""
    ours = [disk for disk in disks if disk["state"] != "excluded"]
    return ours, [disk for disk in disks if disk["state"] == "excluded"]


def asleep_sentence(disks: list[DiskJson]) -> str:
    """``2 of 4 asleep``; "" = there is none that could be."""
    ours, _ = split(disks)
    asleep = sum(disk["state"] in {"standby", "sleeping", "suspended"} for disk in ours)
    return f"{asleep} of {len(ours)} asleep" if ours else ""


def idle(disk: DiskJson) -> str:
    """For how long nobody has used it, ``12 min``."""
    return "-" if disk["idle_for"] is None else span(disk["idle_for"], parts=1)


def stands_by(disk: DiskJson, now: datetime) -> str:
    """When it will stand by if nothing stirs, ``in 8 min``."""
    if disk["spin_down_at"] is None:
        return "-"
    left = (datetime.fromisoformat(disk["spin_down_at"]) - now).total_seconds()
    return f"in {span(left, parts=1)}" if left > 0 else "now"


def way(disk: DiskJson) -> str:
    """How it has gone down: by which command, or its own timer; ``-`` = it never has."""
    if disk["worked"] is not None:
        return _WORKED.get(disk["worked"], disk["worked"])
    return "timer" if disk["method"] == "timer" and disk["spin_downs_today"] else "-"


def places(disk: DiskJson) -> str:
    """Where it is mounted, ``/, /srv``."""
    return ", ".join(mount["where"] for mount in disk["mounts"])


def settings(disk: DiskJson) -> str:
    """What its own electronics are set to, ``APM 127, own timer 20 min``; "" = nothing that is known."""
    level = f"APM {disk['apm']}" if disk["apm"] is not None else ""
    timer = f"own timer {span(disk['timer'])}" if disk["timer"] else ""
    return ", ".join(filter(None, (level, timer)))


def size(disk: DiskJson) -> str:
    """Its size as makers tell it, in powers of ten: ``2 TB``, ``750 GB``."""
    amount = disk["size"] / 1e12
    return f"{amount:.3g} TB" if amount >= 1 else f"{amount * 1000:.3g} GB"


def grouped(disks: list[DiskJson], key: Callable[[DiskJson], str | None]) -> dict[str, list[str]]:
    """Names of disks by what is said of them; those of which nothing is said are left out."""
    found: dict[str, list[str]] = {}
    for disk in disks:
        said = key(disk)
        if said:
            found.setdefault(said, []).append(disk["device"])
    return found


def _row(disk: DiskJson, now: datetime) -> tuple[str, ...]:
    return (
        harmless(disk["device"]),
        disk["state"],
        clock(datetime.fromisoformat(disk["since"]), now),
        idle(disk),
        stands_by(disk, now),
        str(disk["spin_ups_today"]),
        way(disk),
        harmless(disk["group"] or "-"),
        harmless(disk["model"] or "-"),
    )


def _names(disks: list[DiskJson], paint: Paint) -> Iterator[str]:
    """By which each is to be named, and what is on it."""
    left = min(_DISK_MOST, max(width(harmless(disk["device"])) for disk in disks))
    for disk in disks:
        start = pad(harmless(disk["device"]), left) + " " * GAP
        told = ", ".join(filter(None, (size(disk), places(disk), settings(disk))))
        yield from (paint(line, "dim") for line in hanging(start, f"{disk['id']} ({told})"))


def _waiting(disks: list[DiskJson], paint: Paint) -> Iterator[str]:
    """What each waits for; disks that wait for the same share a paragraph."""
    groups = grouped(disks, lambda disk: disk["waits"])
    if groups:
        yield from ("", paint("Waiting:", "strong"))
    for why, names in groups.items():
        yield from paragraph(f"{listed(names, NAMED)}: {why}", 2)


def _left_alone(disks: list[DiskJson], paint: Paint) -> Iterator[str]:
    groups = grouped(disks, lambda disk: disk["waits"] or "excluded")
    if groups:
        yield from ("", paint("Left alone:", "strong"))
    for why, names in groups.items():
        yield from (paint(line, "dim") for line in paragraph(f"{listed(names, NAMED)}: {why}", 2))
