"""The text of ``powerd disks``, made from the API's JSON: a table and notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from powerd.ui.layout import (
    COLUMN_GAP,
    Paint,
    Style,
    TextTable,
    format_duration,
    format_time,
    hanging_lines,
    join_lines,
    join_names,
    no_color,
    pad,
    paragraph_lines,
    sanitize,
    width,
)

if TYPE_CHECKING:
    from powerd.ui.schema import DiskJson, StatusJson

_DISK, _STATE, _GROUP, _MODEL = 0, 1, 7, 8
_TABLE: Final = TextTable(
    ("DISK", "STATE", "SINCE", "IDLE FOR", "SPIN-DOWN", "STARTS", "BY", "GROUP", "MODEL"),
    styled_column=_STATE,
    shrinkable=((_MODEL, 8), (_GROUP, 5), (_MODEL, 1), (_STATE, 7), (_DISK, 8)),
)
STOPPED: Final = frozenset({"standby", "sleeping", "suspended"})
"""States in which a drive does not spin."""
_MAX_DISK_WIDTH: Final = 12
_STYLES: Final[dict[str, Style]] = {
    "standby": "good",
    "sleeping": "good",
    "suspended": "good",
    "unknown": "doubt",
    "unsupported": "doubt",
    "hung": "bad",
}
_METHOD_NAMES: Final = {"ata": "ATA", "scsi": "SCSI"}
MAX_LISTED_DISKS: Final = 6
"""A note names at most this many disks, and counts the others."""


def disks_text(status: StatusJson, paint: Paint = no_color) -> str:
    """The text of ``powerd disks``: managed disks, what their spin-down waits for, and excluded disks."""
    now = datetime.fromisoformat(status["now"])
    managed, unmanaged = split_managed(status["disks"])
    if not managed:
        lines = ["No disk that can be spun down is known."]
    else:
        styles = [_STYLES.get(disk["state"]) for disk in managed]
        table = _TABLE.format_lines([_row(disk, now) for disk in managed], styles, paint)
        lines = [*table, "", *_name_lines(managed, paint)]
    lines += _waiting_lines(managed, paint)
    lines += _unmanaged_lines(unmanaged, paint)
    return join_lines(lines)


def split_managed(disks: list[DiskJson]) -> tuple[list[DiskJson], list[DiskJson]]:
    """Disks that powerd manages, and excluded disks."""
    managed = [disk for disk in disks if disk["state"] != "excluded"]
    return managed, [disk for disk in disks if disk["state"] == "excluded"]


def standby_summary(disks: list[DiskJson]) -> str:
    """``2 of 4 in standby``; "" if no disk is managed."""
    managed, _ = split_managed(disks)
    stopped = sum(disk["state"] in STOPPED for disk in managed)
    return f"{stopped} of {len(managed)} in standby" if managed else ""


def idle_text(disk: DiskJson) -> str:
    """How long the disk has been idle, ``12 min``."""
    return "-" if disk["idle_for"] is None else format_duration(disk["idle_for"], max_units=1)


def spin_down_text(disk: DiskJson, now: datetime) -> str:
    """When the disk will be spun down if it stays idle, ``in 8 min``."""
    if disk["spin_down_at"] is None:
        return "-"
    left = (datetime.fromisoformat(disk["spin_down_at"]) - now).total_seconds()
    return f"in {format_duration(left, max_units=1)}" if left > 0 else "now"


def method_text(disk: DiskJson) -> str:
    """The method that has worked: ATA, SCSI, or the drive's own timer; ``-`` if none has yet."""
    if disk["verified_method"] is not None:
        return _METHOD_NAMES.get(disk["verified_method"], disk["verified_method"])
    return "timer" if disk["method"] == "timer" and disk["spin_downs_today"] else "-"


def mount_points(disk: DiskJson) -> str:
    """Mount points, ``/, /srv``."""
    return ", ".join(mount["where"] for mount in disk["mounts"])


def settings_text(disk: DiskJson) -> str:
    """Settings of the drive, ``APM 127, own timer 20 min``; "" if none are known."""
    level = f"APM {disk['apm']}" if disk["apm"] is not None else ""
    timer = f"own timer {format_duration(disk['standby_timer'])}" if disk["standby_timer"] else ""
    return ", ".join(filter(None, (level, timer)))


def size_text(disk: DiskJson) -> str:
    """Size in decimal units, as on the label: ``2 TB``, ``750 GB``."""
    amount = disk["size"] / 1e12
    return f"{amount:.3g} TB" if amount >= 1 else f"{amount * 1000:.3g} GB"


def group_by_text(disks: list[DiskJson], key: Callable[[DiskJson], str | None]) -> dict[str, list[str]]:
    """Device names by text; disks without a text are omitted."""
    found: dict[str, list[str]] = {}
    for disk in disks:
        text = key(disk)
        if text:
            found.setdefault(text, []).append(disk["device"])
    return found


def _row(disk: DiskJson, now: datetime) -> tuple[str, ...]:
    return (
        sanitize(disk["device"]),
        disk["state"],
        format_time(datetime.fromisoformat(disk["since"]), now),
        idle_text(disk),
        spin_down_text(disk, now),
        str(disk["spin_ups_today"]),
        method_text(disk),
        sanitize(disk["group"] or "-"),
        sanitize(disk["model"] or "-"),
    )


def _name_lines(disks: list[DiskJson], paint: Paint) -> Iterator[str]:
    """The id, size, mount points and settings of each disk."""
    left = min(_MAX_DISK_WIDTH, max(width(sanitize(disk["device"])) for disk in disks))
    for disk in disks:
        start = pad(sanitize(disk["device"]), left) + " " * COLUMN_GAP
        details = ", ".join(filter(None, (size_text(disk), mount_points(disk), settings_text(disk))))
        yield from (paint(line, "dim") for line in hanging_lines(start, f"{disk['id']} ({details})"))


def _waiting_lines(disks: list[DiskJson], paint: Paint) -> Iterator[str]:
    """What each spin-down waits for; equal texts share a paragraph."""
    groups = group_by_text(disks, lambda disk: disk["reason"])
    if groups:
        yield from ("", paint("Waiting:", "strong"))
    for reason, names in groups.items():
        yield from paragraph_lines(f"{join_names(names, MAX_LISTED_DISKS)}: {reason}", 2)


def _unmanaged_lines(disks: list[DiskJson], paint: Paint) -> Iterator[str]:
    groups = group_by_text(disks, lambda disk: disk["reason"] or "excluded")
    if groups:
        yield from ("", paint("Excluded:", "strong"))
    for reason, names in groups.items():
        yield from (
            paint(line, "dim")
            for line in paragraph_lines(f"{join_names(names, MAX_LISTED_DISKS)}: {reason}", 2)
        )
