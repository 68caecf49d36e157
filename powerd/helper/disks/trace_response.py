"""The events and processes of a trace as the rows of a response, as many as fit.

Whatever a trace holds, the response is valid: a row that does not fit its type is left out, and counted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
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
    merged, groups = _named(events, table)
    fitting: list[TraceEvent] = []
    processes: dict[tuple[int, str], TracedProcess] = {}
    lost = 0
    for place, event in enumerate(merged):
        key = (event.pid, event.comm)
        process = processes.get(key) or _process(*key, groups[key])
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


def _named(
    events: Iterable[TraceEvent], table: ProcessTable
) -> tuple[list[TraceEvent], Mapping[tuple[int, str], dict[str, str]]]:
    """The merged events by process, and the control groups of each pid and name, with the ancestor."""
    groups = defaultdict[tuple[int, str], dict[str, str]](dict)
    named = list[TraceEvent]()

    def add_group(event: TraceEvent, thread: int) -> None:
        process = table.describe(thread, event.first_at, event.comm)
        groups[event.pid, event.comm].setdefault(process.cgroup, process.ancestor)

    for event in events:
        at = event.first_at
        process, comm = table.process_of(event.pid, at), table.name_of(event.pid, at, event.comm)
        named.append(replace(event, pid=process, comm=comm))
        if not process:  # its thread is not in the event that is reported
            add_group(named[-1], event.pid)
    merged = merge_events(named)
    for event in merged:
        if event.pid:
            add_group(event, event.pid)
    return merged, groups


def _process(pid: int, comm: str, groups: Mapping[str, str]) -> TracedProcess:
    """The process with the only group that is known: with several, an id was used again."""
    known = [group for group in groups if group]
    return (
        TracedProcess(pid, comm, known[0], groups[known[0]]) if len(known) == 1 else TracedProcess(pid, comm)
    )


def _bytes(row: list[object]) -> int:
    return len(json.dumps(row)) + _SEPARATOR_BYTES
