"""Alarms and the results of a test message as text; the command line imports it, so it imports little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from powerd.ui.layout import Paint, Style, hanging_lines, join_lines, labelled_lines, no_color

if TYPE_CHECKING:
    from powerd.ui.schema import AlarmJson, RecipientJson

ALARM_STYLES: Final[dict[str, Style]] = {"alarm": "bad", "warning": "doubt"}


def alarm_lines(rows: Sequence[AlarmJson], label_width: int, paint: Paint) -> Iterator[str]:
    """The lines of ``powerd status`` and ``powerd why``: a paragraph for each alarm, and its remedy."""
    for row in rows:
        text = f"{row['subject']}: {row['text']}"
        yield from labelled_lines(label_width, row["severity"], text, paint, ALARM_STYLES[row["severity"]])
        yield from labelled_lines(label_width, "", row["remedy"], paint)


def notify_text(rows: Sequence[RecipientJson], paint: Paint = no_color) -> str:
    """The text of ``powerd notify --test``: a line for each recipient."""
    lines: list[str] = []
    for row in rows:
        style: Style = "bad" if row["error"] else "good"
        result = f"not sent: {row['error']}" if row["error"] else "sent"
        lines += [paint(line, style) for line in hanging_lines(f"{row['to']}: ", result)]
    return join_lines(lines)
