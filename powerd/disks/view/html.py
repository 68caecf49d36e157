"""Disks on the status page: one row per disk, with its power state and its health."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from powerd.disks.view.table import (
    MAX_LISTED_DISKS,
    STOPPED,
    group_by_text,
    idle_text,
    method_text,
    mount_points,
    settings_text,
    size_text,
    standby_summary,
)
from powerd.ui.html import (
    EMPTY,
    Html,
    PageContext,
    button,
    controls,
    dots,
    facts,
    item_list,
    key,
    note,
    row,
    section,
    state,
    two_lines,
)
from powerd.ui.layout import counted, format_time, join_names

if TYPE_CHECKING:
    from powerd.ui.schema import DiskJson


class DiskHealth(NamedTuple):
    """What the domain smart adds to the row of a disk.

    Attributes:
        state: a second state beside that of the motor; empty = nothing has been found.
        temperature: ``31 °C``; "" = unknown.
        more: shown when the row is opened.
        buttons: besides those of the disk.
    """

    state: Html
    temperature: str
    more: Html
    buttons: Html


_UNKNOWN_HEALTH: Final = DiskHealth(EMPTY, "", EMPTY, EMPTY)


def disks_section(  # noqa: PLR0913 - what other domains know of the disks
    disks: list[DiskJson],
    now: datetime,
    page: PageContext,
    *,
    health: Mapping[str, DiskHealth],
    week: Mapping[str, str],
    notes: list[str],
    observing: bool = False,
) -> Html:
    """A row for each disk that is managed or has health data, and a line for each group of others.

    Args:
        disks: of the API.
        now: the server's time.
        page: who reads it.
        health: by the id of the disk.
        week: what each disk has done in the last days, by its id.
        notes: shown below.
        observing: in observe mode no disk is spun down.
    """
    if not disks:
        return EMPTY
    shown = [disk for disk in disks if disk["state"] != "excluded" or disk["id"] in health]
    rows = [
        _row(
            disk,
            now,
            page,
            health.get(disk["id"], _UNKNOWN_HEALTH),
            week.get(disk["id"], ""),
            observing=observing,
        )
        for disk in shown
    ]
    others = [disk for disk in disks if disk not in shown]
    groups = group_by_text(others, lambda disk: disk["reason"] or "excluded")
    excluded = (f"Excluded: {join_names(names, MAX_LISTED_DISKS)}: {why}" for why, names in groups.items())
    return section(
        "disks",
        "Disks",
        standby_summary(disks) or "none that can be spun down",
        item_list(rows) if rows else EMPTY,
        *map(note, (*notes, *excluded)),
    )


def disk_name(disk: DiskJson) -> str:
    """The name of a disk everywhere on the page: ``/srv (sda)``; only the device if nothing is mounted."""
    places = [mount["where"] for mount in disk["mounts"] if not mount["where"].startswith("[")]
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{places[0]}{more} ({disk['device']})" if places else disk["device"]


def _row(  # noqa: PLR0913 - a row shows what three domains know of one disk
    disk: DiskJson, now: datetime, page: PageContext, health: DiskHealth, week: str, *, observing: bool
) -> Html:
    name = disk_name(disk)
    since = format_time(datetime.fromisoformat(disk["since"]), now)
    spins_down = (
        f"spins down at {format_time(datetime.fromisoformat(disk['spin_down_at']), now)}"
        if disk["spin_down_at"]
        else ""
    )
    excluded = disk["state"] == "excluded"
    shown_state = state("not managed", "excluded") if excluded else state(disk["state"])
    spin_ups = counted(disk["spin_ups_today"], "spin-up")
    spin_downs = counted(disk["spin_downs_today"], "spin-down")
    more = facts(
        {
            "State": "" if excluded else f"{disk['state']} since {since}",
            "Reason": disk["reason"] or "",
            "Idle for": idle_text(disk) if disk["idle_for"] is not None else "",
            "Last 24 h": "" if excluded else f"{spin_ups}, {spin_downs}",
            "Last 7 days": week,
            "Spun down by": method_text(disk) if method_text(disk) != "-" else "",
            "Settings": settings_text(disk),
            "Mounted at": mount_points(disk),
            "Group": disk["group"] or "",
            "Serial number": disk["serial"] or "",
        }
    )
    buttons = health.buttons
    if not (observing or excluded or disk["state"] in STOPPED):
        buttons = button(page, ("disks", disk["id"], "standby"), "Spin down", name=name) + buttons
    return row(
        key("disk", disk["id"]),
        name,
        dots((disk["model"] or "", size_text(disk))),
        shown_state + health.state,
        two_lines(health.temperature or ("" if excluded else f"since {since}"), spins_down),
        more=more + health.more + controls(buttons),
    )
