"""The text of ``powerd disks DISK``, made from the API's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from powerd.disks.view.table import idle_text, method_text, settings_text, size_text, spin_down_text
from powerd.ui.layout import (
    Paint,
    format_duration,
    format_time,
    join_lines,
    labelled_lines,
    no_color,
    paragraph_lines,
)

if TYPE_CHECKING:
    from powerd.ui.schema import DiskJson, StatusJson

_field_lines = partial(labelled_lines, 12)


def find_disk(disks: Iterable[DiskJson], name: str) -> DiskJson | None:
    """The disk with this device name, id or serial number."""
    by_id = {disk["id"]: disk for disk in disks}
    named = (disk for disk in by_id.values() if name in {disk["device"], disk["serial"]})
    return by_id.get(name) or next(named, None)


def disk_text(disk: DiskJson, status: StatusJson, paint: Paint = no_color) -> str:
    """The text of ``powerd disks DISK`` without its users: identity, state, settings and transitions."""
    title = ", ".join(filter(None, (disk["device"], disk["model"], size_text(disk))))
    lines = [paint(line, "strong") for line in paragraph_lines(title)]
    for label, text in _fields(disk, datetime.fromisoformat(status["now"])):
        lines += _field_lines(label, text, paint)
    return join_lines(lines)


def _fields(disk: DiskJson, now: datetime) -> Iterator[tuple[str, str]]:
    since = format_time(datetime.fromisoformat(disk["since"]), now)
    idle = f", idle for {idle_text(disk)}" if disk["idle_for"] is not None else ""
    rotation = f", {disk['rpm']:,} rpm" if disk["rpm"] else ""
    yield "id", disk["id"]
    if disk["serial"]:
        yield "serial", disk["serial"]
    yield "bus", f"{disk['transport'] or 'unknown'}{rotation}"
    yield "mounted", ", ".join(f"{each['where']} ({each['fs']})" for each in disk["mounts"]) or "no"
    if disk["group"]:
        yield "group", f"{disk['group']}, whose disks spin up together"
    yield "state", f"{disk['state']} since {since}{idle}"
    if disk["reason"]:
        yield "reason", disk["reason"]
    if disk["state"] != "excluded":
        yield "spin-down", _spin_down_text(disk, now)
        yield "settings", settings_text(disk) or "none of the drive is known"
    yield "spin-ups", _transitions_text(disk, now)
    if disk["smart"]:
        yield "health", f"{disk['smart']['health']}: see `powerd smart {disk['device']}`"


def _spin_down_text(disk: DiskJson, now: datetime) -> str:
    if not disk["spin_down_after"]:
        return "never, by the configuration"
    due = f"{spin_down_text(disk, now)}, " if disk["spin_down_at"] else ""
    verified = method_text(disk)
    works = "none has worked yet" if verified == "-" else f"{verified} works"
    after = format_duration(disk["spin_down_after"])
    return f"{due}after {after} of idle time; method {disk['method']}, {works}"


def _transitions_text(disk: DiskJson, now: datetime) -> str:
    last = disk["last_wake"]
    last_text = f"; the last one at {format_time(datetime.fromisoformat(last), now)}" if last else ""
    return f"{disk['spin_ups_today']} in 24 hours, spin-downs {disk['spin_downs_today']}{last_text}"
