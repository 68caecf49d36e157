"""The disks on the status page, from the values of the JSON API."""

from __future__ import annotations

from datetime import datetime

from powerd.disks.view.table import (
    MAX_LISTED_DISKS,
    group_by_text,
    idle_text,
    method_text,
    mount_points,
    settings_text,
    size_text,
    spin_down_text,
    split_managed,
    standby_summary,
)
from powerd.ui.api import DiskJson
from powerd.ui.html import cell, escape_line, row, section, table
from powerd.ui.layout import format_time, join_names


def disks_section(disks: list[DiskJson], now: datetime) -> str:
    """A table of the managed disks and a line on the others; "" = there is no disk."""
    managed, unmanaged = split_managed(disks)
    if not disks:
        return ""
    title = f"Disks: {standby_summary(disks) or 'none that can spin down'}"
    tables = [table(("Disk", "State", "Idle for"), [_row(disk, now) for disk in managed])] if managed else []
    groups = group_by_text(unmanaged, lambda disk: disk["waits"] or "excluded")
    notes = (
        f'<p class="note">{escape_line(f"Left alone: {join_names(names, MAX_LISTED_DISKS)}: {why}")}</p>\n'
        for why, names in groups.items()
    )
    return section(title, *tables, *notes)


def _row(disk: DiskJson, now: datetime) -> str:
    """One disk in three cells: which, its state with the reason, and what comes next."""
    details = (disk["device"], size_text(disk), disk["group"], mount_points(disk), settings_text(disk))
    about = " · ".join(filter(None, details))
    since = format_time(datetime.fromisoformat(disk["since"]), now)
    spin_ups = disk["spin_ups_today"]
    next_steps = [f"spins down {spin_down_text(disk, now)}"] if disk["spin_down_at"] else []
    next_steps += [f"{spin_ups} start{'' if spin_ups == 1 else 's'} in 24 h"]
    next_steps += [f"by {method_text(disk)}"] if method_text(disk) != "-" else []
    state = escape_line(disk["state"])
    return row(
        disk["model"] or disk["id"],
        about,
        cell(f'<span class="{state}">{state}</span> since {since}', disk["waits"] or ""),
        cell(idle_text(disk), "; ".join(next_steps)),
    )
