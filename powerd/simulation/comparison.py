"""What powerd and two simpler programs do in twelve kinds of home: ``make households`` prints the table.

python -m powerd.simulation.comparison [--days DAYS] [--seed SEED] [--jobs N] [--details] [--results FILE]
                                       [KIND ...]

FILE holds one line of JSON per home. A home that it contains already is not run again.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import repeat
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

from powerd.core.snapshot import Status
from powerd.presence.model import PresenceReport
from powerd.simulation.homes import KINDS, SimulatedHome, make_home
from powerd.simulation.household import DEFAULT, IDLE_FOR, NIGHT, HomeServer, SleepScore, live, score
from powerd.simulation.residents import HOUR, MINUTE, ZONE, moment
from powerd.simulation.timeline import Timeline

_WARN: Final = MINUTE
_AFTER_RESUME: Final = 10 * MINUTE
_PROGRESS_DAYS: Final = 30


def _pings(home: SimulatedHome, at: float, random: Random) -> bool:
    """Whether any device that is not ignored answers one echo request."""
    return any(
        at in device.icmp and random.random() >= device.loss
        for device in home.devices
        if not device.always_on
    )


def cron_line(home: SimulatedHome) -> Iterator[tuple[float, float]]:
    """A script that pings each client once, every 10 minutes from 1:00 to 7:50, and powers off."""
    random = Random(1)  # noqa: S311 - repeatable on purpose
    up = 0.0
    for day in home.period.dates():
        for minute in range(60, 480, 10):
            at = moment(day, minute / 60)
            if up <= at in home.period.whole and not _pings(home, at, random):
                up = home.next_use(at)
                yield at, up
                up += _AFTER_RESUME


def autosuspend(home: SimulatedHome, idle_time: float) -> Iterator[tuple[float, float]]:
    """An echo request to each client every 60 s; it suspends after ``idle_time`` seconds without a reply."""
    random = Random(1)  # noqa: S311 - repeatable on purpose
    ((at, end),) = home.period.whole
    last_active = at
    while at < end:
        if _pings(home, at, random):
            last_active = at
        elif at - last_active > idle_time:
            woken = home.next_use(at)
            yield at, woken
            at = last_active = woken
        at += MINUTE


def night_window(home: SimulatedHome) -> Timeline:
    """The nights of the rule NIGHT."""
    return Timeline((moment(day, 23), moment(day, 31)) for day in home.period.dates())


@dataclass(slots=True)
class Row:
    """The results of one home."""

    kind: str
    default: SleepScore
    at_night: SleepScore
    cron: SleepScore
    autosuspend: tuple[SleepScore, SleepScore]
    cpu: float
    notes: list[str]
    days: float
    seed: int


class FalseSleepLog:
    """Notes of the state of the daemon before each sleep that begins while a device is at home.

    It prints its progress on standard error every 30 days.
    """

    def __init__(self, name: str, needed: Timeline, begin: float) -> None:
        self.name, self.needed = name, needed
        self.notes: list[str] = []
        self._sleeps = 0
        self._begin, self._months = begin, 0
        self._recent: deque[Status] = deque(maxlen=4)

    def watch(self, server: HomeServer, status: Status) -> None:
        """Note a status."""
        if len(server.performed) > self._sleeps:
            self._sleeps = len(server.performed)
            at, _ = server.performed[-1]
            if at in self.needed:
                self.notes.append("\n".join(self._note(server.home, at)))
        self._recent.append(status)
        days = (status.now.wall.timestamp() - self._begin) / (24 * HOUR)
        if days >= _PROGRESS_DAYS * (self._months + 1):
            self._months = int(days / _PROGRESS_DAYS)
            progress = f"{days:.0f} days, {self._sleeps} sleeps, {len(self.notes)} of them false"
            print(f"{self.name}: {progress}", file=sys.stderr, flush=True)

    def _note(self, home: SimulatedHome, at: float) -> Iterator[str]:
        yield f"{self.name}: {datetime.fromtimestamp(at, ZONE):%a %F %H:%M:%S} slept"
        report = self._recent[-1].decision.part(PresenceReport)
        clock = self._recent[-1].now
        offset = clock.wall.timestamp() - clock.mono
        states = {status.client.id: status for status in report.client_statuses}
        for device in home.devices:
            if at not in device.there:
                continue
            status = states.get(device.mac)  # type: ignore[call-overload] # a ClientId is a MAC
            yield (
                f"    {device.name} is there since {_ago(at, device.there)}, "
                f"{'used' if at in device.used else 'not used'}"
                f"{', traffic' if at in device.traffic else ''}; answers ICMP: {_state(at, device.icmp)}, "
                f"ARP: {_state(at, device.arp)}"
            )
            if status is None:
                yield "        powerd does not know it"
                continue
            seen = (
                f"{(at - offset - status.last_seen.mono) / 60:.1f} min ago" if status.last_seen else "never"
            )
            yield (
                f"        powerd: {status.state.value} ({status.reason}) for "
                f"{(at - offset - status.since.mono) / 60:.1f} min, last seen {seen} by {status.evidence}"
            )


def _state(at: float, timeline: Timeline) -> str:
    return f"{'yes' if at in timeline else 'no'} for {_ago(at, timeline)}"


def _ago(at: float, timeline: Timeline) -> str:
    return f"{(at - timeline.begin_of(at)) / 60:.1f} min"


def compare(kind: str, days: float, seed: int) -> Row:
    """Run all programs in one home."""
    home = make_home(kind, days=days, seed=seed)
    gc.freeze()  # without this and the threshold, collections take 5 % of the time
    gc.set_threshold(50_000)
    whole, window = home.period.whole, night_window(home)
    arrivals, used = home.there | home.used | home.work, home.used | home.work
    ((begin, _),) = whole
    default_log = FalseSleepLog(f"{kind}, default", home.there, begin)
    night_log = FalseSleepLog(f"{kind}, night", home.used, begin)
    started = _cpu()
    default = live(home, DEFAULT, watch=default_log.watch)
    cpu = _cpu() - started
    gc.collect()
    night_sleeps = live(home, NIGHT, watch=night_log.watch)
    wait = IDLE_FOR + _WARN
    return Row(
        kind,
        score(home, default, arrivals, whole, wait),
        score(home, night_sleeps, used, window, wait),
        score(home, list(cron_line(home)), arrivals, window, 0),
        (
            score(home, list(autosuspend(home, 300)), arrivals, whole, 300),
            score(home, list(autosuspend(home, 900)), arrivals, whole, 900),
        ),
        cpu,
        [*default_log.notes, *night_log.notes],
        days,
        seed,
    )


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def load_rows(path: Path | None) -> list[Row]:
    """The rows of a file of results; none without a file."""
    if path is None or not path.exists():
        return []
    return [_row(json.loads(text)) for text in path.read_text().splitlines()]


def _row(stored: dict[str, Any]) -> Row:
    for name in ("default", "at_night", "cron"):
        stored[name] = SleepScore(**stored[name])
    stored["autosuspend"] = tuple(SleepScore(**each) for each in stored["autosuspend"])
    return Row(**stored)


def store_row(path: Path, row: Row) -> None:
    """Append a row to a file of results."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(row)) + "\n")


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:5.1f}%" if whole > HOUR else "    -"


def heading(days: float) -> Iterator[str]:
    """The heading of the table."""
    yield f"{days:g} days per home."
    yield "there, used, work: sleeps begun while a device is there (dozing or not), is used, or a job runs"
    yield "slept: of the hours that are free of them; best: of those that the idle time leaves to foresight"
    yield ""
    yield f"{'':14}| {'default options':32} | {'night rule':32} | {'cron':10} | {'autosuspend':12} | "
    heads = _HEAD.format("there"), _HEAD.format(" used")
    yield f"{'':14}| {heads[0]} | {heads[1]} | {'':10} | {'300 s':5}  {'900 s':5} | CPU s"


def line(row: Row) -> str:
    """The line of one home."""
    default, at_night = row.default, row.at_night
    return (
        f"{row.kind:14}| {_cells(default, default.while_there)} | {_cells(at_night, at_night.while_used)} | "
        f"{len(row.cron.while_there):10} | "
        f"{'  '.join(f'{len(each.while_there):5}' for each in row.autosuspend)} | {row.cpu:5.1f}"
    )


_HEAD: Final = "sleeps {} work  slept    best"


def _cells(nights: SleepScore, false: list[float]) -> str:
    return (
        f"{len(nights.sleeps):6} {len(false):5} {len(nights.while_working):4} "
        f"{_percent(nights.slept, nights.free)} {_percent(nights.slept, nights.possible):>7}"
    )


def _summary(rows: list[Row]) -> str:
    shares = [100 * row.default.slept / row.default.free for row in rows if row.default.free > HOUR]
    best = [100 * row.default.slept / row.default.possible for row in rows if row.default.possible > HOUR]
    nights = [100 * row.at_night.slept / row.at_night.free for row in rows if row.at_night.free > HOUR]
    night_best = [
        100 * row.at_night.slept / row.at_night.possible for row in rows if row.at_night.possible > HOUR
    ]
    return (
        f"total: {sum(len(row.default.while_there) for row in rows)} false sleeps by default, "
        f"{sum(len(row.at_night.while_used) for row in rows)} at night on a device in use; median home slept "
        f"{median(shares):.1f}% of the free hours ({median(best):.1f}% of the possible), at night "
        f"{median(nights):.1f}% ({median(night_best):.1f}%)"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=365)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--details", action="store_true", help="print what powerd knew at each false sleep")
    parser.add_argument("--results", type=Path, help="file of results, to continue with")
    parser.add_argument("kinds", nargs="*", metavar="KIND", default=list(KINDS), help=", ".join(KINDS))
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - KINDS.keys():
        parser.error(f"there is no home {', '.join(sorted(unknown))}; the homes are {', '.join(KINDS)}")
    wanted = (arguments.days, arguments.seed)
    rows = [
        row
        for row in load_rows(arguments.results)
        if (row.days, row.seed) == wanted and row.kind in arguments.kinds
    ]
    missing = [kind for kind in arguments.kinds if all(row.kind != kind for row in rows)]
    print(*heading(arguments.days), *map(line, rows), sep="\n", flush=True)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for row in pool.map(compare, missing, repeat(arguments.days), repeat(arguments.seed)):
            rows.append(row)
            print(line(row), flush=True)
            if arguments.results is not None:
                store_row(arguments.results, row)
            if arguments.details:
                print(*row.notes, sep="\n", flush=True)
    print(_summary(rows))


if __name__ == "__main__":
    main()
