"""Entry point of the ``powerd`` command. The daemon is imported only by ``powerd run``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final

from powerd.ui.cli import main as cli

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from powerd.config.machine_check import MachineFacts
    from powerd.config.options import Options
    from powerd.doctor.model import DoctorReport, DoctorRequest
    from powerd.ui.cli.hold import RunningCommand

_MAX_LOOKUPS: Final = 10
"""Host names that are looked up at the same time, each by a process."""
_LOOKUP_TIME: Final = 4.0
"""Seconds for all host names; a lookup of one fails after 5 s."""
_TIME_ZONES: Final = "/usr/share/zoneinfo:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    _limit_imports()  # before the configuration is read: its checks import asyncio
    machine = cli.MachineFunctions(
        _find_conflicts,
        _find_missing,
        _by_id_name,
        _run_doctor,
        _replace_process,
        _can_sleep,
        _run_simulation,
        _list_checks,
    )
    return cli.main(argv, _run_daemon, _start_command, machine, _run_setup)


def _run_setup(arguments: argparse.Namespace) -> int:
    from powerd.setup.command import setup

    return setup(arguments)


def _run_simulation(arguments: argparse.Namespace) -> int:
    from powerd.replay.command import simulate

    return simulate(arguments)


def _list_checks() -> tuple[str, ...]:
    from powerd.activity.registry import own_names

    return own_names()


def _can_sleep() -> dict[str, str]:
    import asyncio

    from powerd.linux.values import HostError
    from powerd.power.logind import LogindClient

    async def ask() -> dict[str, str]:
        logind = LogindClient()
        return {action: await logind.can_sleep(action) for action in ("suspend", "poweroff")}

    try:
        return asyncio.run(ask())
    except HostError:
        return {}  # unknown: both are offered


def _run_daemon(config: Path | None, observe: bool, socket: Path) -> int:  # noqa: FBT001 - cli.main() calls it by position
    from powerd.service import run

    return run(config, observe, socket)


def _start_command(argv: Sequence[str], mask: Iterable[int]) -> RunningCommand:
    from powerd.linux.subprocess import ForegroundProcess

    return ForegroundProcess(argv, mask)


def _replace_process(argv: Sequence[str]) -> None:
    from powerd.linux.subprocess import replace_process

    replace_process(argv)


def _find_conflicts() -> list[str]:
    import asyncio

    from powerd.disks.conflicts.checks import find_conflicts
    from powerd.linux.files import HostFiles

    with closing(HostFiles()) as files:
        return asyncio.run(find_conflicts(files))


def _find_missing(options: Options, file: Path) -> list[tuple[str, str]]:
    import asyncio

    from powerd.config.machine_check import missing_on

    return list(missing_on(asyncio.run(_examine_machine(options)), options, file))


async def _examine_machine(options: Options) -> MachineFacts:
    """What the check of a configuration compares with."""
    import asyncio
    from pathlib import Path

    from powerd.config.machine_check import MachineFacts, lan_networks, own_names, service_account
    from powerd.disks.source.block_devices import read_block_devices
    from powerd.disks.source.inventory import build_inventory
    from powerd.disks.source.spin_up_causes import SpinUpCauses
    from powerd.linux.files import HostFiles

    root = Path("/")
    with closing(HostFiles()) as files:
        blocks, (unresolved, unanswered), refused = await asyncio.gather(
            read_block_devices(files),
            _resolve_hosts(options.clients.hosts),
            _refused_urls(options.hooks.notify),
        )
    disks = build_inventory(blocks, (), SpinUpCauses()).disks.values()
    names = [(disk.id, disk.model, disk.serial) for disk in disks if not disk.ineligible_reason]
    networks = lan_networks(root)
    return MachineFacts(
        root,
        names,
        unresolved,
        networks,
        service_account(),
        refused,
        own_names(root),
        unanswered,
        os.uname().nodename,
    )


async def _refused_urls(urls: Sequence[str]) -> list[int]:
    """The positions, from 1, of the URLs that Apprise refuses; [] if it gives no answer."""
    import json

    from powerd.linux.subprocess import run
    from powerd.linux.values import HostError

    argv = (sys.executable, "-I", "-m", "powerd.config.apprise_urls")
    try:
        result = await run(argv, timeout=20, stdin=json.dumps(urls).encode()) if urls else None
        return [] if result is None else list(map(int, json.loads(result.stdout)))
    except (HostError, ValueError, TypeError):
        return []


async def _resolve_hosts(hosts: Sequence[str]) -> tuple[set[str], list[str]]:
    """Look up all host names by the resolver of this machine, within a time limit.

    Returns:
        The names without an address, and those of which nothing is known.
    """
    from powerd.config.values import is_address

    names = [host for host in dict.fromkeys(hosts) if not is_address(host)]
    if not names:
        return set(), []
    import asyncio

    from powerd.presence.probe.network import HostNetwork

    found = dict[str, tuple[str, ...]]()
    slots = asyncio.Semaphore(_MAX_LOOKUPS)
    with closing(HostNetwork()) as network:

        async def look_up(name: str) -> None:
            async with slots:
                found[name] = await network.resolve(name)

        tasks = [asyncio.create_task(look_up(name)) for name in names]
        await asyncio.wait(tasks, timeout=_LOOKUP_TIME)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return {name for name, addresses in found.items() if not addresses}, [n for n in names if n not in found]


def _by_id_name(device: str) -> str | None:
    from powerd.disks.conflicts.checks import by_id_name
    from powerd.linux.files import HostFiles

    with closing(HostFiles()) as files:
        return by_id_name(files, device)


def _run_doctor(request: DoctorRequest) -> DoctorReport:
    import asyncio
    from pathlib import Path

    from powerd.doctor.service import run
    from powerd.linux.subprocess import HostProcesses

    return asyncio.run(run(request, Path("/"), HostProcesses()))


def _limit_imports() -> None:
    """Make ``import ssl`` and ``import _hashlib`` fail: each loads OpenSSL, which takes 4.4 MB.

    asyncio and aiohttp work without the first, hashlib and hmac without the second. The modules that need
    OpenSSL enable the import: linux/tls.py and config/password.py. The search path of time zones is Python's
    own, which zoneinfo would otherwise read from a table of 1,000 entries that stays in memory (0.2 MB).
    """
    if "asyncio" not in sys.modules:
        for module in ("ssl", "_hashlib"):
            sys.modules[module] = None  # type: ignore[assignment] # None makes the import fail
        os.environ.setdefault("PYTHONTZPATH", _TIME_ZONES)


if __name__ == "__main__":
    sys.exit(main())
