"""Another ``absent_after`` over the recorded past.

The record has the last answer before each absence. So an absence begins sooner or later by as much as the
limit differs, and one that ends before the longer limit disappears. The record does not have the lengths of
naps, the silences within the presence of a client. So a client with naps keeps its recorded absences if its
limit would be shorter, and every client does if its limit would be shorter than a nap can be.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from powerd.config.options import ClientOptions
from powerd.history.model import Interval, Record, changes_of
from powerd.presence.silences import LOWER_LIMIT
from powerd.replay.variations import class_of

_TOLERANCE: Final = 120.0
"""Seconds from the end of a limit to the decision on it, at most: the same limit changes nothing."""


def with_absent_after(record: Record, clients: ClientOptions) -> tuple[Record, tuple[str, ...]]:
    """The record as it would be with the limits of a configuration; learned ones are those of the record.

    Returns:
        The record, and the names of clients that are as recorded because their shorter limit cannot be
        judged.
    """
    resumes = sorted(each.end for each in record.sleeps if each.result == "slept" and each.end is not None)
    rows: defaultdict[str, list[Interval]] = defaultdict(list)
    for each in record.intervals:
        if each.subject.kind == "client":
            rows[each.subject.id].append(each)
    moved, unknown = list[Interval](), list[str]()
    for intervals in rows.values():
        row = class_of(clients, intervals[-1])
        limit = (row and row.absent_after) or clients.absent_after
        found = intervals if limit == "auto" else _move(intervals, limit, resumes)
        moved += intervals if found is None else found
        if found is None:
            unknown.append(intervals[-1].subject.name or intervals[-1].subject.id)
    if moved == [each for intervals in rows.values() for each in intervals]:
        return record, tuple(unknown)
    others = (each for each in record.intervals if each.subject.kind != "client")
    return replace(record, changes=changes_of([*others, *moved])), tuple(unknown)


def _move(intervals: Sequence[Interval], limit: float, resumes: Sequence[float]) -> list[Interval] | None:
    """The intervals of a client with another limit; None = a shorter one cannot be judged."""
    moved: list[Interval] = []
    for each in intervals:
        if each.state != "absent" or each.seen is None:
            moved.append(each)
            continue
        resumed = bisect_right(resumes, each.begin) - 1
        begin = limit + (each.seen if resumed < 0 else max(each.seen, resumes[resumed]))
        if abs(begin - each.begin) <= _TOLERANCE:
            begin = each.begin
        if begin < each.begin and (limit < LOWER_LIMIT or _has_dozed(intervals)):
            return None
        while moved and moved[-1].begin >= begin:
            del moved[-1]
        if moved and moved[-1].end is not None and moved[-1].end > begin:
            moved[-1] = moved[-1]._replace(end=begin)
        if begin > each.begin:  # it is present for longer, and silent
            end = begin if each.end is None else min(begin, each.end)
            moved.append(Interval(each.subject, "dozing", each.begin, end))
        if each.end is None or begin < each.end:
            moved.append(each._replace(begin=begin))
    return moved


def _has_dozed(intervals: Sequence[Interval]) -> bool:
    """Whether a client has answered after it had begun to doze, and before it was absent."""
    return any(
        one.state == "dozing"
        and (following.state != "absent" or following.seen is None or following.seen > one.begin)
        for one, following in pairwise(intervals)
    )
