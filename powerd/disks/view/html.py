"""Disks on the status page."""

from __future__ import annotations

from datetime import datetime
from typing import Final

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
from powerd.ui.html import EMPTY, Html, cell, row, section, table
from powerd.ui.layout import format_time, join_names
from powerd.ui.schema import DiskJson

_STATE: Final = Html('<span class="{0}">{0}</span> since {1}')
_EXCLUDED: Final = Html('<p class="note">Excluded: {}: {}</p>\n')


def disks_section(disks: list[DiskJson], now: datetime) -> Html:
    """A table of managed disks, and a line for each group of excluded ones; empty without disks."""
    managed, unmanaged = split_managed(disks)
    if not disks:
        return EMPTY
    title = f"Disks: {standby_summary(disks) or 'none that can be spun down'}"
    tables = [table(("Disk", "State", "Idle for"), [_row(disk, now) for disk in managed])] if managed else []
    groups = group_by_text(unmanaged, lambda disk: disk["reason"] or "excluded")
    notes = (_EXCLUDED.format(join_names(names, MAX_LISTED_DISKS), why) for why, names in groups.items())
    return section(title, *tables, *notes)


def _row(disk: DiskJson, now: datetime) -> Html:
    """One disk in three cells: its names, its state with the reason, and the next spin-down."""
    details = (disk["device"], size_text(disk), disk["group"], mount_points(disk), settings_text(disk))
    about = " · ".join(filter(None, details))
    since = format_time(datetime.fromisoformat(disk["since"]), now)
    spin_ups = disk["spin_ups_today"]
    next_steps = [f"spins down {spin_down_text(disk, now)}"] if disk["spin_down_at"] else []
    next_steps += [f"{spin_ups} spin-up{'' if spin_ups == 1 else 's'} in 24 h"]
    next_steps += [f"by {method_text(disk)}"] if method_text(disk) != "-" else []
    return row(
        disk["model"] or disk["id"],
        about,
        cell(_STATE.format(disk["state"], since), disk["reason"] or ""),
        cell(idle_text(disk), "; ".join(next_steps)),
    )
