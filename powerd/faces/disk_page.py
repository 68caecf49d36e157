"""The disks on the status page, from the API's JSON values. Pure."""

from __future__ import annotations

from datetime import datetime

from powerd.faces.disk_table import (
    NAMED,
    asleep_sentence,
    grouped,
    idle,
    places,
    settings,
    size,
    split,
    stands_by,
    way,
)
from powerd.faces.html import cell, row, safe, section, table
from powerd.faces.shapes import DiskJson
from powerd.faces.words import clock, listed


def disks_section(disks: list[DiskJson], now: datetime) -> str:
    """A table of those that may stand by, and a line for those left alone; "" = there is no disk at all."""
    ours, alone = split(disks)
    if not disks:
        return ""
    title = f"Disks: {asleep_sentence(disks) or 'none that could stand by'}"
    known = [table(("Disk", "State", "Idle for"), [_row(disk, now) for disk in ours])] if ours else []
    groups = grouped(alone, lambda disk: disk["waits"] or "excluded")
    notes = (
        f'<p class="note">{safe(f"Left alone: {listed(names, NAMED)}: {why}")}</p>\n'
        for why, names in groups.items()
    )
    return section(title, *known, *notes)


def _row(disk: DiskJson, now: datetime) -> str:
    """One disk in three cells: which, what it does and why, and what comes next."""
    known = (disk["device"], size(disk), disk["group"], places(disk), settings(disk))
    about = " · ".join(filter(None, known))
    since = clock(datetime.fromisoformat(disk["since"]), now)
    starts = disk["spin_ups_today"]
    coming = [f"stands by {stands_by(disk, now)}"] if disk["spin_down_at"] else []
    coming += [f"{starts} start{'' if starts == 1 else 's'} in 24 h"]
    coming += [f"by {way(disk)}"] if way(disk) != "-" else []
    state = safe(disk["state"])
    return row(
        disk["model"] or disk["id"],
        about,
        cell(f'<span class="{state}">{state}</span> since {since}', disk["waits"] or ""),
        cell(idle(disk), "; ".join(coming)),
    )
