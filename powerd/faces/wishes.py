"""What ``powerd keep`` and ``powerd wake`` say, made from the API's JSON; 80 columns. Pure and light."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from powerd.faces.shapes import KeepJson, WokenJson
from powerd.faces.words import LINE, Paint, clock, harmless, joined, pad, plain, span, width, wrap

_HEAD: Final = ("ID", "UNTIL", "LEFT", "BECAUSE")
_GAP: Final = 2


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
    widths = [max(map(width, column)) for column in zip(_HEAD[:-1], *rows, strict=True)]
    lines = [paint(_line(_HEAD[:-1], widths) + _HEAD[-1], "strong")]
    for keep, row in zip(keeps, rows, strict=True):
        start = _line(row, widths)
        for n, part in enumerate(wrap(harmless(keep["because"]) or "-", LINE - len(start))):
            lines.append((" " * len(start) if n else start) + part)
    return joined(lines)


def woken_text(woken: WokenJson) -> str:
    """What ``powerd wake`` prints: what was sent where."""
    who = woken["host"] if woken["host"] == woken["mac"] else f"{woken['host']} ({woken['mac']})"
    where = ", ".join(f"{sent['to']} ({sent['link']})" for sent in woken["sent"])
    return _said(f"Sent three magic packets for {who} to {where}.")


def _said(*texts: str) -> str:
    return joined(line for text in texts for line in wrap(harmless(text), LINE))


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


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "".join(pad(cell, size) + " " * _GAP for cell, size in zip(cells, widths, strict=True))
