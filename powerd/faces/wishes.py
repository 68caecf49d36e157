"""What ``powerd keep`` and ``powerd wake`` say, made from the API's JSON; 80 columns. Pure and light."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from typing import Final

from powerd.faces.columns import GAP, fitted, line
from powerd.faces.shapes import KeepJson, WokenJson
from powerd.faces.words import Paint, clock, hanging, harmless, joined, paragraph, plain, span

_HEAD: Final = ("ID", "UNTIL", "LEFT")
"""Above the columns of which each keep has one line; a reason that follows may have several."""


def kept_text(keep: KeepJson) -> str:
    """What ``powerd keep 2h`` prints: until when, and how to take it back."""
    return _said(
        f"Kept awake until {_end(keep, keep['since'])}{_because(keep)}.",
        f"To end it earlier: powerd keep --drop {keep['id']}",
    )


def dropped_text(keep: KeepJson) -> str:
    """What ``powerd keep --drop`` prints."""
    return _said(f"Dropped keep {keep['id']}{_because(keep)}.")


def keeps_text(keeps: list[KeepJson], now: str, paint: Paint = plain) -> str:
    """What ``powerd keep --list`` prints: a row for each keep and hold."""
    if not keeps:
        return _said("Nothing keeps it awake on purpose.")
    rows = [(harmless(keep["id"]), _end(keep, now), _left(keep, now)) for keep in keeps]
    widths, gap = fitted((_HEAD, *rows)), " " * GAP
    lines = [paint(line(_HEAD, widths) + gap + "BECAUSE", "strong")]
    for keep, row in zip(keeps, rows, strict=True):
        lines += hanging(line(row, widths) + gap, keep["because"] or "-")
    return joined(lines)


def woken_text(woken: WokenJson) -> str:
    """What ``powerd wake`` prints: what was sent where."""
    who = woken["host"] if woken["host"] == woken["mac"] else f"{woken['host']} ({woken['mac']})"
    where = ", ".join(f"{sent['to']} ({sent['link']})" for sent in woken["sent"])
    return _said(f"Sent three magic packets for {who} to {where}.")


def _said(*texts: str) -> str:
    return joined(chain.from_iterable(map(paragraph, texts)))


def _because(keep: KeepJson) -> str:
    return f": {keep['because']}" if keep["because"] else ""


def _end(keep: KeepJson, now: str) -> str:
    """When it ends, as one says it at ``now``."""
    if keep["until"] is None:
        return "it ends"
    return clock(datetime.fromisoformat(keep["until"]), datetime.fromisoformat(now))


def _left(keep: KeepJson, now: str) -> str:
    if keep["until"] is None:
        return "-"
    return span((datetime.fromisoformat(keep["until"]) - datetime.fromisoformat(now)).total_seconds())
