"""Costs of a round of all default checks: CPU time, memory, bytes written, child processes.

Needs root: it runs in a booted container with a real systemd and logind, which has the units of a small
server, a program in each of three units, and TCP connections without data; with --here it runs on this
machine. The last column shows which checks do not apply; they cost nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from powerd.activity.check import CheckPorts, SleepOptions
from powerd.activity.model import ActivityFacts, CheckId
from powerd.activity.source import ActivitySource
from powerd.config.options import Options
from powerd.core.clock import KernelClock
from powerd.core.poller import PollDepth
from powerd.disks.model import DiskFacts
from powerd.disks.source.source import DiskSource
from powerd.linux.files import HostFiles
from powerd.linux.helper_client import helper_for
from powerd.linux.subprocess import HostProcesses
from powerd.power.logind import LogindClient
from powerd.presence.probe.network import HostNetwork

CPU_LIMIT: Final = 5.0
"""Milliseconds per round."""
MEMORY_LIMIT: Final = 1.5
"""Megabytes, resident: the modules of the checks and their data."""
WARM_UP: Final = 5


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def written_bytes() -> int:
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"])


def child_processes() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def connect(stack: ExitStack, count: int) -> None:
    """TCP connections on the loopback device."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=count))
    for _ in range(count):
        stack.enter_context(socket.create_connection(listener.getsockname()))
        stack.enter_context(listener.accept()[0])


async def measure(rounds: int) -> None:
    files, network, logind = HostFiles(), HostNetwork(), LogindClient()
    helper, processes = helper_for(Path("/nonexistent")), HostProcesses()
    # Subtract the cost of a round without checks.
    await network.lan()
    await logind.list_inhibitors()
    disks = (await DiskSource(files, KernelClock(), 60.0).poll(PollDepth.ROUTINE)).part(DiskFacts)
    gc.collect()  # as the daemon does before its first round; the first one takes 0.5 MB
    before = resident_mb()
    options = Options()
    ports = CheckPorts(
        files,
        network,
        logind,
        helper,
        processes,
        KernelClock(),
        lambda: SleepOptions(1800.0, 300.0, ()),
        lambda: disks,
    )
    source = ActivitySource(ports, lambda: options)
    for _ in range(WARM_UP):
        await source.poll(PollDepth.ROUTINE)
    written = written_bytes()
    took: defaultdict[CheckId, float] = defaultdict(float)
    started = time.process_time()
    for _ in range(rounds):  # only sums are kept: the results of all rounds take 0.8 MB
        results = (await source.poll(PollDepth.ROUTINE)).part(ActivityFacts).results
        for check, each in results.items():
            took[check] += each.took * 1000 / rounds
    cpu = (time.process_time() - started) / rounds * 1000
    memory = resident_mb() - before
    print(f"{rounds} rounds of {len(took)} checks")
    print(f"CPU per round: {cpu:.2f} ms (limit {CPU_LIMIT:g})")
    print(f"resident memory: +{memory:.2f} MB (limit {MEMORY_LIMIT:g})")
    print(f"bytes written: {written_bytes() - written} (limit 0)")
    print(f"children: {len(child_processes())} (limit 0)")
    for check, average in sorted(took.items()):
        last = results[check]
        print(f"  {check:12} {average:8.2f} ms  {last.state} {last.reason}")


def measure_booted(argv: Sequence[str]) -> str:
    """The output of this program in a container."""
    from rig.boot import Booted  # noqa: PLC0415 - not there in the container
    from rig.lan import Lan  # noqa: PLC0415 - not there in the container

    with (
        tempfile.TemporaryDirectory() as directory,
        Lan(Path(directory)) as lan,
        Booted(Path(directory), lan.server.inside) as machine,
    ):
        machine.install_powerd()
        machine.lay("srv/bench.py", Path(__file__).read_text())
        machine.boot()
        for n in range(3):
            machine.run("systemd-run", f"--unit=work-{n}", "sleep", "infinity")
        return machine.run("/opt/powerd/bin/python3", "/srv/bench.py", "--here", *argv)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--here", action="store_true", help="on this machine itself")
    arguments = parser.parse_args()
    if not arguments.here:
        print(measure_booted(sys.argv[1:]))
        return
    with ExitStack() as stack:
        connect(stack, arguments.connections)
        asyncio.run(measure(arguments.rounds))


if __name__ == "__main__":
    main()
