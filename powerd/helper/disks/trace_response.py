"""The events and processes of a trace as the rows of a response, as many as fit.

Whatever a trace holds, the response is valid: a row that does not fit its type is left out, and counted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Final, NamedTuple

from powerd.attribution.model import MAX_EVENTS, MAX_PROCESSES, TracedProcess, TraceEvent
from powerd.core.codec import ROW, CodecError, codec_of
from powerd.helper.disks.trace_events import merge_events
from powerd.helper.disks.trace_processes import ProcessTable

_SEPARATOR_BYTES: Final = 2
_EVENT: Final = codec_of(Annotated[TraceEvent, ROW])
_PROCESS: Final = codec_of(Annotated[TracedProcess, ROW])


class Rows(NamedTuple):
    """The rows of a TraceReading, and the number of events that did not fit."""

    events: tuple[TraceEvent, ...]
    processes: tuple[TracedProcess, ...]
    lost: int


def fitting_rows(events: Iterable[TraceEvent], table: ProcessTable, space: int) -> Rows:
    """The first of the merged events, and a process for each pid and name in them.

    Args:
        events: by thread.
        table: the processes of the threads.
        space: bytes of both as JSON.
    """
    merged = merge_events(
        replace(
            event,
            pid=table.process_of(event.pid, event.first_at),
            comm=table.name_of(event.pid, event.first_at, event.comm),
        )
        for event in events
    )
    found = defaultdict[tuple[int, str], list[TracedProcess]](list)
    for event in merged:
        found[event.pid, event.comm].append(table.describe(event.pid, event.first_at, event.comm))
    fitting: list[TraceEvent] = []
    processes: dict[tuple[int, str], TracedProcess] = {}
    lost = 0
    for place, event in enumerate(merged):
        key = (event.pid, event.comm)
        process = processes.get(key) or _process(found[key], *key)
        try:
            used = _bytes(_EVENT.encode(event))
            used += 0 if key in processes else _bytes(_PROCESS.encode(process))
        except CodecError:
            lost += event.count
            continue
        full = len(fitting) == MAX_EVENTS or (key not in processes and len(processes) == MAX_PROCESSES)
        if full or used > space:
            lost += sum(each.count for each in merged[place:])
            break
        space -= used
        fitting.append(event)
        processes[key] = process
    return Rows(tuple(fitting), tuple(processes.values()), lost)


def _process(found: Iterable[TracedProcess], pid: int, comm: str) -> TracedProcess:
    """The one whose control group is known; of several, an id was used again."""
    known = {process.cgroup: process for process in found if process.cgroup}
    return known.popitem()[1] if len(known) == 1 else TracedProcess(pid, comm)


def _bytes(row: list[object]) -> int:
    return len(json.dumps(row)) + _SEPARATOR_BYTES
