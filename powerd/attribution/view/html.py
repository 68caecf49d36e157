"""What wakes the disks, on the status page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from powerd.attribution.view.names import MAX_PATH
from powerd.attribution.view.table import (
    MAX_GROUPS,
    MAX_NAME,
    WakeGroup,
    group_wakes,
    process_text,
    watch_text,
)
from powerd.ui.html import EMPTY, Html, facts, item_list, key, note, row, section, two_lines
from powerd.ui.layout import cut, format_duration, format_time, sanitize

if TYPE_CHECKING:
    from powerd.ui.schema import StatusJson, WakeJson

_NO_WAKE: Final = "No wake of a disk is recorded yet."


def wakes_section(
    status: StatusJson, wakes: Sequence[WakeJson], disk_names: Mapping[str, str], now: datetime
) -> Html:
    """What has woken the disks; empty if no disk can be spun down."""
    managed = any(disk["state"] != "excluded" for disk in status["disks"])
    if status["watch"] is None or not (wakes or managed):
        return EMPTY
    groups = group_wakes(wakes, now)
    rows = [_row(group, disk_names, now) for group in groups[:MAX_GROUPS]]
    notes = [] if rows else [_NO_WAKE]
    notes += [f"and {len(groups) - MAX_GROUPS} more: /api/wakes"] if len(groups) > MAX_GROUPS else []
    notes += [f"Level {watch_text(status['watch'])}"]
    parts = (item_list(rows) if rows else EMPTY, *map(note, notes))
    return section("wakes", "What wakes the disks", "", *parts)


def _row(group: WakeGroup, disk_names: Mapping[str, str], now: datetime) -> Html:
    last = group.last
    where = cut(sanitize(group.where), MAX_PATH)
    slept = "" if last["slept_for"] is None else f"after {format_duration(last['slept_for'], max_units=1)}"
    name = cut(sanitize(group.name), MAX_NAME)
    disk = disk_names.get(last["disk"], group.disk)
    more = facts(
        {
            "Process": process_text(last) if last["comm"] else "",
            "File": where,
            "Operation": last["op"] or "",
            "Known": "; ".join(filter(None, (last["sure"], last["explanation"]))),
            "In standby before": slept.removeprefix("after "),
        }
    )
    at = format_time(datetime.fromisoformat(last["at"]), now)
    return row(
        key("wake", f"{last['disk']} {name}"),
        name,
        disk,
        "",
        two_lines(group.frequency, f"last {at}"),
        more=more,
    )
