"""The disks on the status page, from the API's JSON values. Pure."""

from __future__ import annotations

from datetime import datetime
from html import escape

from powerd.faces.disk_table import (
    asleep_sentence,
    grouped,
    idle,
    listed,
    places,
    settings,
    size,
    split,
    stands_by,
    way,
)
from powerd.faces.shapes import DiskJson
from powerd.faces.words import clock, harmless


def section(disks: list[DiskJson], now: datetime) -> str:
    """A table of those that may stand by, and a line for those left alone; "" = there is no disk at all."""
    ours, alone = split(disks)
    if not disks:
        return ""
    title = f"Disks: {asleep_sentence(disks) or 'none that could stand by'}"
    rows = "".join(_row(disk, now) for disk in ours)
    table = (
        '<div class="card"><table>\n'
        '<thead><tr><th scope="col">Disk</th><th scope="col">State</th><th scope="col">Idle for</th></tr>'
        f"</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
    groups = grouped(alone, lambda disk: disk["waits"] or "excluded")
    notes = "".join(
        f'<p class="note">Left alone: {_safe(listed(names))}: {_safe(why)}</p>\n'
        for why, names in groups.items()
    )
    return f"<section>\n<h2>{title}</h2>\n{table if ours else ''}{notes}</section>\n"


def _row(disk: DiskJson, now: datetime) -> str:
    """One disk in three cells: which, what it does and why, and what comes next."""
    known = (disk["device"], size(disk), disk["group"], places(disk), settings(disk))
    about = " · ".join(filter(None, known))
    since = clock(datetime.fromisoformat(disk["since"]), now)
    starts = disk["spin_ups_today"]
    coming = [f"stands by {stands_by(disk, now)}"] if disk["spin_down_at"] else []
    coming += [f"{starts} start{'' if starts == 1 else 's'} in 24 h"]
    coming += [f"by {way(disk)}"] if way(disk) != "-" else []
    return (
        f'<tr><th scope="row">{_safe(disk["model"] or disk["id"])}<small>{_safe(about)}</small></th>'
        f'<td><span class="{_safe(disk["state"])}">{_safe(disk["state"])}</span> since {since}'
        f"<small>{_safe(disk['waits'] or '')}</small></td>"
        f"<td>{idle(disk)}<small>{_safe('; '.join(coming))}</small></td></tr>\n"
    )


def _safe(text: str) -> str:
    """Text from anywhere as HTML text or attribute: no markup, no control characters."""
    return escape(harmless(text))
