"""Large lease files of ISC dhcpd: time to read them, memory, and the longest wait of the event loop.

Usage: python tests/benchmarks/bench_leases.py. Each row is a process of its own, so that its peak memory is
its own. isc_dhcp_leases is measured for comparison if it is installed (pip install isc_dhcp_leases); it reads
the whole file at once and would block the loop meanwhile. With a million hosts the longest wait is a run of
Python's garbage collector. Waits of the parser are CPU time, those of powerd wall time.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from powerd.linux.files import HostFiles
from powerd.presence.leases.files import LeaseFiles
from powerd.presence.leases.isc_leases import DhcpdLeasesReader
from powerd.presence.probe.network import HostNetwork

LEASES: Final = "/var/lib/dhcp/dhcpd.leases"
CASES: Final = ((100_000, 65_536), (1_000_000, 254), (1_000_000, 1_000_000))
PEER: Final = "isc_dhcp_leases"
READERS: Final = ("powerd", "parser alone", PEER)
ROUNDS: Final = 3
MOST_SECONDS, MOST_MB, MOST_FEED_MS = 1.0, 100.0, 5.0
MOST_MILLION_MB, MOST_STALL_MS = 250.0, 50.0
BLOCK: Final = """\
lease 10.{a}.{b}.{c} {{
  starts 6 2026/11/21 09:{minute:02}:{second:02};
  ends 6 2026/11/21 10:{minute:02}:{second:02};
  cltt 6 2026/11/21 09:{minute:02}:{second:02};
  binding state {state};
  next binding state free;
  rewind binding state free;
  hardware ethernet 02:77:00:{a:02x}:{b:02x}:{c:02x};
  uid "\\001\\002w\\000\\{a:03o}\\{b:03o}\\{c:03o}";
  set vendor-class-identifier = "udhcp 1.35.0";
  client-hostname "host-{n}";
}}
"""


def write(root: Path, blocks: int, hosts: int) -> None:
    """A lease file of ``blocks`` entries that cycle through ``hosts`` hosts, in the form of dhcpd."""
    file = root / LEASES[1:]
    file.parent.mkdir(parents=True)
    with file.open("w") as stream:
        stream.write("authoring-byte-order little-endian;\n\n")
        for number in range(blocks):
            n = number % hosts
            a, b, c = n >> 16, n >> 8 & 255, n & 255
            state = "free" if number % 10 == 0 else "active"
            clock = {"minute": number // 60 % 60, "second": number % 60}
            stream.write(BLOCK.format(a=a, b=b, c=c, n=n, state=state, **clock))


def memory() -> float:
    """Peak resident memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def poll(root: Path) -> dict[str, float]:
    """Read the file as the daemon does, while another task measures the waits of the loop."""
    files, host_files, stall, hosts = LeaseFiles(("auto",)), HostFiles(root), 0.0, 0

    async def turn() -> None:
        nonlocal stall
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0)
            stall = max(stall, time.perf_counter() - started)

    network = HostNetwork(root)
    other = asyncio.create_task(turn())
    started = time.perf_counter()
    report = await files.poll(host_files, network, 0)
    took = time.perf_counter() - started
    other.cancel()
    hosts = len(report.entries)
    started = time.perf_counter()
    assert await files.poll(host_files, network, 60) is report
    again = time.perf_counter() - started
    return {"seconds": took, "stall": stall * 1e3, "mb": memory(), "hosts": hosts, "again": again * 1e6}


async def feed(root: Path) -> dict[str, float]:
    """The parser alone: its longest call, with 64 KiB each."""
    reader, longest, started = DhcpdLeasesReader(LEASES), 0.0, time.perf_counter()
    async for text in HostFiles(root).read_chunks(LEASES):
        start = time.thread_time()
        reader.feed(text)
        longest = max(longest, time.thread_time() - start)
    result = reader.finish()
    return {
        "seconds": time.perf_counter() - started,
        "stall": longest * 1e3,
        "mb": memory(),
        "hosts": len(result.entries),
    }


def peer(root: Path) -> dict[str, float]:
    """The only other parser of this format in Python."""
    leases_of = importlib.import_module(PEER).IscDhcpLeases
    started = time.perf_counter()
    leases = leases_of(str(root / LEASES[1:])).get()
    took = time.perf_counter() - started
    hosts = len({lease.ip for lease in leases})
    return {"seconds": took, "stall": took * 1e3, "mb": memory(), "hosts": hosts}


def one(reader_name: str, root: Path) -> dict[str, float]:
    """One measurement, in this process."""
    if reader_name == PEER:
        return peer(root)
    return asyncio.run(poll(root) if reader_name == "powerd" else feed(root))


def best(reader_name: str, root: Path) -> dict[str, float]:
    """The fastest of a few processes; other load slowed the rest."""
    argv = [sys.executable, __file__, "--one", reader_name, str(root)]
    rounds = 1 if reader_name == PEER else ROUNDS
    runs = [
        json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout) for _ in range(rounds)
    ]
    return min(runs, key=lambda run: float(run["seconds"]))


def table(root: Path) -> dict[str, dict[str, float]]:
    """One process per reader, and a line for each."""
    print(f"  {'reader':<28}{'seconds':>8}{'longest wait, ms':>18}{'peak MB':>9}{'hosts':>9}")
    runs = {}
    for reader_name in READERS:
        if reader_name == PEER and not importlib.util.find_spec(PEER):
            print(f"  {reader_name:<28}not installed")
            continue
        run = runs[reader_name] = best(reader_name, root)
        figures = f"{run['seconds']:>8.2f}{run['stall']:>18.2f}{run['mb']:>9.0f}{run['hosts']:>9,.0f}"
        print(f"  {reader_name:<28}{figures}")
        if "again" in run:
            print(f"  {'  its next poll, no change':<28}{run['again'] / 1e6:>8.4f}")
    return runs


def main() -> int:
    """Print the tables; 1 if a figure is missed."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2], Path(sys.argv[3]))))
        return 0
    runs = []
    for blocks, hosts in CASES:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), blocks, hosts)
            size = (Path(folder) / LEASES[1:]).stat().st_size >> 20
            print(f"{blocks:,} blocks of {hosts:,} hosts, {size} MiB")
            runs.append(table(Path(folder)))
    big, log, million = runs[0]["powerd"], runs[1]["parser alone"], runs[2]["powerd"]
    good = big["seconds"] <= MOST_SECONDS and big["mb"] <= MOST_MB and log["stall"] <= MOST_FEED_MS
    good &= million["mb"] <= MOST_MILLION_MB and million["stall"] <= MOST_STALL_MS
    print(
        f"limits: 100,000 leases in {MOST_SECONDS} s and {MOST_MB:.0f} MB, 64 KiB of a long log in"
        f" {MOST_FEED_MS:.0f} ms, a million hosts in {MOST_MILLION_MB:.0f} MB and without a wait of more than"
        f" {MOST_STALL_MS:.0f} ms: {'reached' if good else 'MISSED'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
