"""A year of stored history: its size, the time to read it, and the time of a report; medians.

Usage: python tests/benchmarks/bench_history.py. The history has eight clients, each of which leaves, returns
or dozes thirty times a day, and disks and activities.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from powerd.config.options import Options, SleepRule
from powerd.core.service import Environment
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.history.codec import HEADER, Entry, LineWriter
from powerd.history.model import SERVER, DiskWake, Record, SleepRecord, State, StateChange, Subject
from powerd.history.service import HistoryService
from powerd.history.view.report import PowerUse, report_json
from powerd.history.view.report_table import report_text
from powerd.replay.past import replay
from powerd.service import GC_THRESHOLD

DAYS: Final = 365
DAY: Final = 86_400.0
BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
MOST_MB: Final = 2.0
MOST_SECONDS: Final = 0.3
MOST_REPLAY_SECONDS: Final = 3.0
CLIENTS: Final = [Subject("client", f"02:00:00:00:00:{n:02x}", f"device-{n}") for n in range(8)]
WORK: Final = [Subject("activity", "disk_io", f"service-{n}.service", "reads and writes") for n in range(4)]
DISKS: Final = [Subject("disk", f"ata-WDC_WD20EFRX_{n}", f"sd{n}") for n in range(4)]
CHANGES: Final[tuple[tuple[list[Subject], tuple[State, ...], int], ...]] = (
    (CLIENTS, ("present", "dozing", "absent"), 30),
    (WORK, ("active", "none"), 8),
    (DISKS, ("spinning", "standby"), 10),
    ([SERVER], ("awake", "idle"), 20),
)


class Clock:
    """The end of the year."""

    def now(self) -> Moment:
        """The time at which the report is requested."""
        return Moment(1.0, 0.0, datetime.fromtimestamp(BEGIN + DAYS * DAY, UTC))


def entries(day: int, chance: random.Random) -> Iterator[Entry]:
    """The entries of a day, by their time."""
    begin, rows = BEGIN + day * DAY, list[StateChange]()
    for subjects, states, count in CHANGES:
        for subject in subjects:
            times = sorted(chance.uniform(0, DAY - 1) for _ in range(count))
            rows += (StateChange(begin + at, subject, states[n % len(states)]) for n, at in enumerate(times))
    yield from sorted(rows, key=lambda row: row.at)
    for disk in DISKS:
        yield DiskWake(begin + 40_000, disk.id, 3600.0, "smbd.service", "", "smbd", "/srv/film")
    end = begin + 6 * 3600
    yield SleepRecord(begin + 60, "suspend", 0, "enforce", "slept", end, end - begin - 60, end, "alarm")


def write(directory: Path) -> int:
    """The files of the year; returns their bytes."""
    writer, chance, size, month = LineWriter(), random.Random(1), 0, ""  # noqa: S311 - repeatable on purpose
    (directory / "history").mkdir()
    for day in range(DAYS):
        name = datetime.fromtimestamp(BEGIN + day * DAY, UTC).strftime("%Y-%m")
        text = "" if name == month else f"{HEADER}\n"
        if name != month:
            writer.begin_file()
            month = name
        text += "".join(map(writer.lines, entries(day, chance)))
        with (directory / "history" / f"{name}.jsonl").open("a") as stream:
            stream.write(text)
        size += len(text)
    return size


def replay_month(record: Record) -> float:
    """Seconds of CPU time for one configuration over a month."""
    began = time.process_time()
    assert replay(record, Options(sleep=(SleepRule(idle_for=60.0, dozing="ignored"),)), UTC)
    return time.process_time() - began


async def main() -> int:
    """Print the table; 1 if a figure is missed.

    It is one coroutine: asyncio.run() of Python 3.11 formats the result of its coroutine, here the record.
    """
    gc.set_threshold(GC_THRESHOLD)  # as in the daemon, which reads the record
    with tempfile.TemporaryDirectory() as directory:
        size = write(Path(directory))
        problems: list[str] = []
        environment = Environment(
            Clock(), StateStore(), Options, Storage(Path(directory)), problems.append, "boot"
        )
        service = HistoryService(environment, lambda: True)
        seconds = []
        for _ in range(5):
            began = time.process_time()
            record = await service.read(BEGIN)
            read = time.process_time()
            report = report_json(record, PowerUse(38.0, 2.0, 0.35), UTC)
            seconds.append((time.process_time() - began, read - began))
        assert report["asleep"]["count"] == DAYS, problems
        total, reading = map(median, zip(*seconds, strict=True))
        print(report_text(report))
        replay_seconds = replay_month(await service.read(BEGIN + (DAYS - 30) * DAY))
        print(f"{'changes':<40}{len(record.changes):>10}")
        print(f"{'lines as written, MB':<40}{size / 1e6:>10.2f}")
        print(f"{'read, s of CPU time':<40}{reading:>10.2f}")
        print(f"{'read and report, s of CPU time':<40}{total:>10.2f}{MOST_SECONDS:>10.2f}")
        print(f"{'simulate a month, s of CPU time':<40}{replay_seconds:>10.2f}{MOST_REPLAY_SECONDS:>10.2f}")
    return int(total > MOST_SECONDS or replay_seconds > MOST_REPLAY_SECONDS)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
