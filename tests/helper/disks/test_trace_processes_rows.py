"""Events and processes of a trace as a response: it is valid, and fits, whatever the trace holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from powerd.attribution.model import MAX_EVENTS, MAX_PROCESSES, TracedProcess, TraceEvent, TraceReading
from powerd.helper.disks import trace_processes
from powerd.helper.disks.trace_processes import (
    ControlGroups,
    Fork,
    ProcessLog,
    ProcessTable,
    Rows,
    fitting_rows,
)
from powerd.helper.protocol.codec import MAX_RESPONSE, encode_response

POD = f"/kubepods.slice/kubepods-burstable.slice/cri-containerd-{'a' * 100}.scope"
LARGE = 1 << 30


def event(thread: int, at: float = 1.0, comm: str = "dd") -> TraceEvent:
    return TraceEvent("io", "8:17", thread, comm, "read", first_at=at, last_at=at, size=4096)


def living(groups: dict[int, str], *leaders: int) -> ProcessTable:
    """Threads, and those that are processes."""
    of_group = {group: frozenset(pid for pid in leaders if groups[pid] == group) for group in groups.values()}
    return ProcessTable(ProcessLog(), ControlGroups(groups, of_group))


@pytest.mark.parametrize("group", [POD, "/a", "/" + "ü" * 1000])
def test_many_processes_fit_into_a_response(group: str) -> None:
    pids = range(100_000, 101_400)
    events = [event(pid, float(pid)) for pid in pids]
    rows = fitting_rows(events, living(dict.fromkeys(pids, group), *pids), MAX_RESPONSE - 200)
    line = encode_response(TraceReading(rows.events, rows.processes, lost=rows.lost))
    assert {event.pid for event in rows.events} == {process.pid for process in rows.processes}
    assert len(rows.events) + rows.lost == 1400
    assert not rows.lost or len(line) > MAX_RESPONSE - 10_000


@pytest.mark.parametrize(("pids", "expected"), [(MAX_PROCESSES + 5, MAX_PROCESSES), (1, MAX_EVENTS)])
def test_there_are_not_more_rows_than_a_response_may_have(pids: int, expected: int) -> None:
    events = [event(place % pids + 1, 100.0 * place) for place in range(MAX_EVENTS + 5)]
    rows = fitting_rows(events, living({}), LARGE)
    assert (len(rows.events), len(rows.processes), rows.lost) == (expected, min(pids, expected), 5)
    encode_response(TraceReading(rows.events, ()))


def test_fewer_processes_than_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_processes, "MAX_PROCESSES", 2)
    rows = fitting_rows([event(1), event(2, 2.0), event(1, 90.0), event(3, 99.0)], living({}), LARGE)
    assert ([each.pid for each in rows.events], rows.lost) == ([1, 2, 1], 1)


@pytest.mark.parametrize(
    "odd",
    [
        replace(event(1), pid=1 << 31),
        replace(event(1), comm="x" * 65),
        replace(event(1), comm="a\nb"),
        replace(event(1), first_at=float("inf"), last_at=float("inf")),
        replace(event(1), last_at=1e300),
        replace(event(1), size=1 << 63),
        replace(event(1), inode=1 << 64),
        replace(event(1), device="x" * 65),
    ],
)
def test_an_event_out_of_range_is_left_out_alone(odd: TraceEvent) -> None:
    rows = fitting_rows([odd, event(5)], living({}), LARGE)
    assert (rows.events, rows.lost) == ((event(5),), 1)
    encode_response(TraceReading(*rows[:2]))


def test_a_thread_of_one_of_several_processes_is_reported_as_one() -> None:
    table = living({500: "/a", 501: "/a", 600: "/a"}, 500, 600)
    rows = fitting_rows([event(501), event(600)], table, LARGE)
    assert set(rows.processes) == {
        TracedProcess(501, "dd", "/a", is_thread=True),
        TracedProcess(600, "dd", "/a"),
    }


def test_an_id_in_use_again_is_two_processes_or_of_no_group() -> None:
    log = ProcessLog()
    log.forks[6] += [Fork(1.0, 1, is_thread=False, comm="old"), Fork(3.0, 2, is_thread=False, comm="dd")]
    table = ProcessTable(log, ControlGroups({1: "/a", 2: "/b", 6: "/b"}, {"/b": frozenset({2, 6})}))

    def processes(comm: str) -> Rows:
        log.names[6] = [(1.5, comm)]
        return fitting_rows([event(6, 2.0), event(6, 90.0)], table, LARGE)

    assert set(processes("sh").processes) == {
        TracedProcess(6, "sh", "/a", "old"),
        TracedProcess(6, "dd", "/b"),
    }
    assert processes("dd").processes == (TracedProcess(6, "dd"),)


def test_no_events_are_no_rows() -> None:
    assert fitting_rows([], living({}), LARGE) == Rows((), (), 0)
