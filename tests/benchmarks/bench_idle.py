"""Resources of an idle daemon: memory, wake-ups, CPU time, threads, child processes, bytes written.

Needs root: its 30 clients are network namespaces. Three daemons on LANs of their own are measured at the same
time, with rounds of 60 s: a third of the clients is present on the first LAN, none on the others. The third
daemon is in enforce mode and connected to a private system D-Bus with python-dbusmock's logind; it holds
inhibitor locks, and other programs send signals that its match rules do not select. The counts are scaled to
an hour.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linux.private_bus import PrivateBus, has_dbusmock
from rig.daemon import Daemon
from rig.lan import Lan
from rig.namespace import populate

from powerd.ui.cli.client import open_request

CLIENTS: Final = 30
SIGNALS: Final = 200
"""Signals of each of the three kinds of PrivateBus.noise()."""

LIMITS: Final = {
    "start to READY, s": "0.4",
    "RSS, MB": "29",
    "RSS after a view, MB": "44",
    "wake-ups/h": "220",
    "CPU, s/h": "1",
    "bytes written": "0",
    "threads besides main": "0",
    "children": "0",
}


@dataclass(frozen=True)
class Reading:
    """Counters of one process (proc(5))."""

    at: float
    rss: float
    switches: int
    cpu: float
    written: int
    threads: int
    children: int

    @classmethod
    def of(cls, pid: int) -> Reading:
        process = Path("/proc", str(pid))
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        io = dict(line.split(": ") for line in (process / "io").read_text().splitlines())
        children = (process / "task" / str(pid) / "children").read_text().split()
        return cls(
            at=time.monotonic(),
            rss=int(status["VmRSS"].split()[0]) / 1024,
            switches=int(status["voluntary_ctxt_switches"]),
            cpu=int((process / "schedstat").read_text().split()[0]) / 1e9,
            written=int(io["write_bytes"]),
            threads=int(status["Threads"]),
            children=len(children),
        )


def config(addresses: list[str], mode: str) -> str:
    names = ", ".join(f'"{address}"' for address in addresses)
    return (
        f'mode = "{mode}"\n[clients]\nleases = ["auto"]\nhosts = [{names}]\n'
        '[http]\nlisten = ["127.0.0.1:8787"]\n'
    )


@dataclass(frozen=True)
class IdleMeasurement:
    """A LAN of 30 clients and its daemon; ``ready`` = seconds from its start to READY=1."""

    daemon: Daemon
    ready: float
    bus: PrivateBus | None = None

    def read(self) -> Reading:
        return Reading.of(self.daemon.process.pid)


def start_measurement(
    stack: ExitStack, scratch: Path, subnet: int, *, with_clients: bool = False, logind: bool = False
) -> IdleMeasurement:
    """A LAN on which a third of the clients is up and a third drops pings, or none is present."""
    scratch.mkdir()
    bus = PrivateBus(scratch)
    if logind:
        stack.callback(bus.end)
        bus.start()
        bus.logind()
    lan = stack.enter_context(Lan(scratch, subnet))
    addresses = [f"{lan.net}.{100 + n}" for n in range(CLIENTS)]
    if with_clients:
        up, firewalled = lan.join("up"), lan.join("fw")
        firewalled.drop_pings()
        populate(up, [f"{address}/24" for address in addresses[0::3]])
        populate(firewalled, [f"{address}/24" for address in addresses[1::3]])
    where = ("env", f"DBUS_SYSTEM_BUS_ADDRESS={bus.address}")
    mode = "enforce" if logind else "observe"
    daemon = Daemon(lan.server.inside, scratch / "powerd", config(addresses, mode), prefix=where)
    started = time.monotonic()
    stack.enter_context(daemon)
    return IdleMeasurement(daemon, time.monotonic() - started, bus if logind else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    minutes = parser.parse_args().minutes
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        measurements = {
            "a third present": start_measurement(stack, scratch / "present", 1, with_clients=True),
            "none present": start_measurement(stack, scratch / "absent", 2),
        }
        if has_dbusmock():
            measurements["... with logind"] = start_measurement(stack, scratch / "logind", 3, logind=True)
        time.sleep(30)  # past the first sweeps
        before = {name: each.read() for name, each in measurements.items()}
        for each in measurements.values():
            if each.bus is not None:
                each.bus.noise(SIGNALS)
        time.sleep(minutes * 60)
        after = {name: each.read() for name, each in measurements.items()}
        for each in measurements.values():
            with open_request("GET", "/", None, str(each.daemon.socket)) as page:
                while page.recv(1 << 16):
                    pass
        viewed = {name: each.read() for name, each in measurements.items()}
        print(f"{CLIENTS} clients, 60 s rounds, {minutes:g} min, scaled to an hour")
        print(f"{'':24}{'at most':>10}" + "".join(f"{name:>16}" for name in measurements))
        table = {
            name: figures(measurements[name].ready, before[name], after[name], viewed[name])
            for name in measurements
        }
        for title, most in LIMITS.items():
            print(f"{title:24}{most:>10}" + "".join(f"{figures[title]:>16.2f}" for figures in table.values()))


def figures(ready: float, before: Reading, after: Reading, viewed: Reading) -> dict[str, float]:
    hours = (after.at - before.at) / 3600
    return {
        "start to READY, s": ready,
        "RSS, MB": after.rss,
        "RSS after a view, MB": viewed.rss,
        "wake-ups/h": (after.switches - before.switches) / hours,
        "CPU, s/h": (after.cpu - before.cpu) / hours,
        "bytes written": after.written - before.written,
        "threads besides main": after.threads - 1,
        "children": after.children,
    }


if __name__ == "__main__":
    main()
