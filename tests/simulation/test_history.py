"""Two days of the daemon with a restart in between: the stored sleeps."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from simulation.household import BERLIN, HOUR, NIGHTLY, daily, person, until_hour

from powerd.config.load import parse
from powerd.core.storage import Storage
from powerd.daemon import Daemon
from powerd.history.model import Record
from powerd.history.view.api import timeline_json, trial_json
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.virtual_loop import VirtualLoop, run
from powerd.simulation.world import Household, posix_time

PEOPLE = (person("phone", 11, daily(7.5, 22)), person("laptop", 12, daily(18, 23.75)))
ALARM = b'[wake]\nat = ["06:00"]\nbefore = "0s"\n'


def live(config: bytes, directory: Path, begin: str, *hours: float) -> tuple[Record, list[str]]:
    """Runs of powerd of ``hours`` each, ten minutes after one another."""
    loop = VirtualLoop()
    clock = SimulatedClock(started_at=posix_time(BERLIN, begin), zone=BERLIN, mono=loop.time)
    household = Household(clock, people=PEOPLE)
    household.network_wake_at = until_hour(7)
    errors: list[str] = []

    async def main() -> Record:
        for each in hours:
            storage = Storage(directory, errors.append)
            daemon = Daemon(
                parse(config, "test"), household.ports(), clock, storage=storage, on_error=errors.append
            )
            task = asyncio.create_task(daemon.run())
            end = clock.true_time() + each * HOUR
            while (left := end - clock.true_time()) > 0:
                await asyncio.wait({task}, timeout=left)
                assert not task.done(), task.result()
            task.cancel()
            await asyncio.wait({task})
            await asyncio.sleep(600)
        return daemon.history.record

    return run(main(), loop=loop), errors


def local_times(record: Record) -> list[tuple[str, str]]:
    """The begin and the end of each sleep."""
    rows = timeline_json(record, BERLIN)["segments"]
    return [
        (row["begin"][8:16], row["end"][8:16])
        for row in rows
        if row["state"] == "asleep" or row["would_sleep"]
    ]


@pytest.mark.long
def test_the_nights_of_a_server_that_sleeps(tmp_path: Path) -> None:
    record, errors = live(NIGHTLY, tmp_path, "2026-06-01 22:00", 13, 14)
    assert errors == []
    (first_begin, first_end), (begin, end) = local_times(record)
    assert (first_begin, first_end) == ("02T00:19", "02T07:00")
    assert "03T00:18" < begin < "03T00:23"
    assert end == "03T00:50" or end > begin
    first, _ = record.sleeps
    assert (first.result, first.rule, first.woken_by) == ("slept", 0, "network")
    assert first.came.startswith("phone: home")
    assert not first.is_false
    stopped = [each for each in record.intervals if each.state == "stopped" and each.end is not None]
    assert [(each.end or 0) - each.begin for each in stopped] == [600]
    present = sum(
        (each.end or record.until) - each.begin for each in record.intervals if each.state == "present"
    )
    assert present > 15 * HOUR


@pytest.mark.long
@pytest.mark.parametrize("alarm", [b"", ALARM])
def test_a_trial_in_observe_mode(alarm: bytes, tmp_path: Path) -> None:
    config = NIGHTLY.replace(b'"enforce"', b'"observe"') + alarm
    record, errors = live(config, tmp_path, "2026-06-01 22:00", 10)
    assert errors == []
    assert local_times(record) == [("02T00:19", "02T06:00" if alarm else "02T07:30")]
    trial = trial_json(record, BERLIN)
    assert trial is not None
    assert (trial["night_count"], len(trial["came"])) == (1, 0 if alarm else 1)
