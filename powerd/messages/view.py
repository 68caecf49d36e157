"""Shows alarms as text. Commands load this module, so it imports no policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from powerd.ui.layout import Paint, Style, labelled_lines
from powerd.ui.schema import AlarmJson

ALARM_STYLES: Final[dict[str, Style]] = {"alarm": "bad", "warning": "doubt"}


def alarm_lines(rows: Sequence[AlarmJson], label_width: int, paint: Paint) -> Iterator[str]:
    """The lines of ``powerd status`` and ``powerd why``: a paragraph for each alarm, and its remedy."""
    for row in rows:
        text = f"{row['subject']}: {row['text']}"
        yield from labelled_lines(label_width, row["severity"], text, paint, ALARM_STYLES[row["severity"]])
        yield from labelled_lines(label_width, "", row["remedy"], paint)
