"""Sweeps of many hosts by powerd, fping and icmplib, on the same LAN, one after the other.

Needs root: the LAN is made of network namespaces. CPU is user and system time of the prober alone, imports
excluded; fping is a child and pays for its own start. Every packet between namespaces is handled
in the sender's time, so all three pay for their hosts' replies too. Let nothing else use the
machine's network meanwhile: all its namespaces share one neighbour table.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final, TypeAlias

from rig.lan import Lan
from rig.namespace import populate

_FIRST: Final = IPv4Address("10.80.0.0")
_ROUNDS: Final = 5
_REST: Final = 3.5
"""Seconds between rounds: the kernel queues packets to dead hosts for 3 s, at the cost of the next prober."""


@dataclass
class Figures:
    """One prober on one set of hosts: seconds, and how often it was wrong."""

    prober: str
    wall: float
    cpu: float
    stall: float
    false_absent: int
    false_present: int


def kinds(count: int, *, dead: bool) -> dict[str, str]:
    """The hosts by address: a third is up, a third drops ICMP, a third is dead; or all are dead."""
    addresses = [str(_FIRST + 2 + number) for number in range(count)]
    return {a: "dead" if dead else ("up", "drops", "dead")[n % 3] for n, a in enumerate(addresses)}


@contextmanager
def hosts(count: int, *, dead: bool) -> Iterator[str]:
    """A LAN with these hosts; gives the server's namespace."""
    with tempfile.TemporaryDirectory() as scratch, Lan(Path(scratch)) as lan:
        lan.server.take(f"{_FIRST + 1}/16")
        drops = lan.join("drops")
        drops.drop_pings()
        for host, kind in ((lan.join("up"), "up"), (drops, "drops")):
            mine = [f"{a}/16" for a, k in kinds(count, dead=dead).items() if k == kind]
            populate(host, mine or [f"{_FIRST + 65000}/16"])
        yield lan.server.inside.name


def _time_callbacks(longest: list[float]) -> None:
    """Record the longest time for which one callback blocks the loop."""
    run = asyncio.Handle._run  # noqa: SLF001 - a watcher on the loop itself would use CPU and change the figures

    def timed(handle: asyncio.Handle) -> None:
        before = time.perf_counter()
        run(handle)
        longest[0] = max(longest[0], time.perf_counter() - before)

    asyncio.Handle._run = timed  # type: ignore[method-assign,assignment]  # noqa: SLF001 - a watcher on the loop would use CPU; mypy sees no method


SweepFunction: TypeAlias = Callable[[], Awaitable[Any]]
Found: TypeAlias = Callable[[Any], set[str]]
"""The addresses that answered, from the result of a sweep; not part of what is measured."""


async def _measure(
    prober: str, sweep_once: SweepFunction, found_in: Found, known: dict[str, str], longest: list[float]
) -> Figures:
    """One sweep."""
    longest[0] = 0.0
    wall, cpu = time.perf_counter(), _cpu()
    result = await sweep_once()
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    found = found_in(result)
    present = {address for address, kind in known.items() if kind != "dead"}
    return Figures(prober, wall, cpu, longest[0], len(present - found), len(found - present))


def _cpu() -> float:
    own, child = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + child.ru_utime + child.ru_stime


def _powerd(known: dict[str, str], *, until_first: bool = False) -> tuple[SweepFunction, Found]:
    from powerd.linux.values import ProbeOutcome, ProbeRequest, SweepResult  # noqa: PLC0415 - each child imports its own prober only
    from powerd.presence.probe.network import HostNetwork  # noqa: PLC0415 - each child imports its own prober only

    machine = HostNetwork()
    lan = asyncio.run(machine.lan())
    requests = [ProbeRequest(address, lan.link_of(IPv4Address(address))) for address in known]

    tries = 3 if len(requests) > 256 else 1  # a large LAN is swept in earnest

    async def sweep_once() -> SweepResult:
        some = requests[:1] if until_first else requests  # as the daemon does: the client seen last, alone
        return await machine.sweep(some, timeout=1, tries=tries, until_first=until_first)

    def found(sweep: SweepResult) -> set[str]:
        unsure = [r for r in sweep.replies.values() if ProbeOutcome.FAILED in (r.icmp, r.arp)]
        if unsure:
            print(f"{len(unsure)} unknown, e.g. {unsure[0]}", file=sys.stderr)
        return {a for a, r in sweep.replies.items() if ProbeOutcome.ANSWERED in (r.icmp, r.arp)}

    return sweep_once, found


def _fping(known: dict[str, str]) -> tuple[SweepFunction, Found]:
    async def sweep_once() -> str:
        argv = ["fping", "-a", "-q", "-r0", "-t1000"]
        done = subprocess.run(argv, input="\n".join(known), text=True, capture_output=True, check=False)  # noqa: ASYNC221 - its time is what is measured
        return done.stdout

    return sweep_once, lambda out: set(out.split())


def _icmplib(known: dict[str, str]) -> tuple[SweepFunction, Found]:
    from icmplib import async_multiping  # noqa: PLC0415 - each child imports its own prober only

    async def sweep_once() -> list[Any]:
        hosts: list[Any] = await async_multiping(list(known), count=1, timeout=1)
        return hosts

    return sweep_once, lambda hosts: {host.address for host in hosts if host.is_alive}


_PROBERS: Final = {"powerd": _powerd, "fping": _fping, "icmplib": _icmplib}


async def _child(
    prober: str, known: dict[str, str], rounds: int, sweep_once: SweepFunction, found: Found
) -> Figures:
    """The median of some rounds by CPU, after one to warm up; every error of all rounds counts."""
    if rounds > 1:
        await sweep_once()
        await asyncio.sleep(_REST)
    gc.collect()
    gc.freeze()  # as the daemon does after its start
    longest = [0.0]
    _time_callbacks(longest)
    taken = []
    for _ in range(rounds):
        taken.append(await _measure(prober, sweep_once, found, known, longest))
        await asyncio.sleep(_REST)
    middle = statistics.median_low([each.cpu for each in taken])
    chosen = next(each for each in taken if each.cpu == middle)
    chosen.false_absent = max(each.false_absent for each in taken)
    chosen.false_present = max(each.false_present for each in taken)
    return chosen


def _run(namespace: str, prober: str, count: int, rounds: int, *, dead: bool) -> Figures:
    argv = [
        "ip",
        "netns",
        "exec",
        namespace,
        sys.executable,
        __file__,
        "--child",
        prober,
        str(count),
        str(rounds),
    ]
    done = subprocess.run(
        [*argv, *(["--dead"] if dead else [])], stdout=subprocess.PIPE, check=True, text=True
    )
    return Figures(**json.loads(done.stdout))


def _print(title: str, rows: list[Figures]) -> None:
    print(f"\n{title}\n{'':22}   wall s   CPU ms  stall ms  false absent  false present")
    for row in rows:
        # fping is a child process; waiting for it does not block the loop
        stall = "-" if row.prober == "fping" else f"{row.stall * 1000:.1f}"
        print(
            f"{row.prober:22}{row.wall:9.3f}{row.cpu * 1000:9.2f}{stall:>10}"
            f"{row.false_absent:14}{row.false_present:15}"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", nargs=3, metavar=("PROBER", "COUNT", "ROUNDS"), help=argparse.SUPPRESS)
    parser.add_argument("--dead", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--small", action="store_true", help="leave out the large LAN, which takes three minutes"
    )
    options = parser.parse_args()
    if options.child:
        prober, count, rounds = options.child[0], int(options.child[1]), int(options.child[2])
        known = kinds(count, dead=options.dead)
        sweep_once, found = _powerd(known, until_first=True) if prober == "early" else _PROBERS[prober](known)
        print(json.dumps(asdict(asyncio.run(_child(prober, known, rounds, sweep_once, found)))))
        return
    with hosts(254, dead=True) as namespace:
        _print(
            "254 dead hosts, timeout 1 s, one try",
            [_run(namespace, p, 254, _ROUNDS, dead=True) for p in _PROBERS],
        )
    with hosts(254, dead=False) as namespace:
        rows = [_run(namespace, p, 254, _ROUNDS, dead=False) for p in _PROBERS]
        early = _run(namespace, "early", 254, _ROUNDS, dead=False)
        early.prober, early.false_absent = (
            "powerd, early exit",
            0,
        )  # it stops at the first: the others are not asked
        _print("254 hosts: a third up, a third drops ICMP, a third dead", [rows[0], early, *rows[1:]])
    if not options.small:
        with hosts(4096, dead=False) as namespace:
            rows = [_run(namespace, p, 4096, 1, dead=False) for p in _PROBERS]
            _print("4,096 hosts: a third up, a third drops ICMP, a third dead; default kernel limits", rows)


if __name__ == "__main__":
    main()
