"""Entry point of the ``powerd`` command. The daemon is imported only by ``powerd run``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from powerd.ui.cli import main as cli

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from powerd.config.machine_check import MachineFacts
    from powerd.config.options import Options
    from powerd.doctor.model import DoctorReport, DoctorRequest
    from powerd.ui.cli.hold import RunningCommand


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    _disable_ssl_import()  # before the configuration is read: its checks import asyncio
    machine = cli.MachineFunctions(
        _find_conflicts,
        _find_missing,
        _by_id_name,
        _run_doctor,
        _replace_process,
        _can_sleep,
        _run_simulation,
    )
    return cli.main(argv, _run_daemon, _start_command, machine, _run_setup)


def _run_setup(arguments: argparse.Namespace) -> int:
    from powerd.setup.command import setup  # noqa: PLC0415 - only setup needs it

    return setup(arguments)


def _run_simulation(arguments: argparse.Namespace) -> int:
    from powerd.replay.command import simulate  # noqa: PLC0415 - only simulate needs it

    return simulate(arguments)


def _can_sleep() -> dict[str, str]:
    import asyncio  # noqa: PLC0415 - only setup needs it

    from powerd.linux.values import HostError  # noqa: PLC0415 - only setup needs it
    from powerd.power.logind import LogindClient  # noqa: PLC0415 - only setup needs it

    async def ask() -> dict[str, str]:
        logind = LogindClient()
        return {action: await logind.can_sleep(action) for action in ("suspend", "poweroff")}

    try:
        return asyncio.run(ask())
    except HostError:
        return {}  # unknown: both are offered


def _run_daemon(config: Path | None, observe: bool, socket: Path) -> int:  # noqa: FBT001 - cli.main() calls it by position
    from powerd.service import run  # noqa: PLC0415 - imports the whole daemon, which other commands do not need

    return run(config, observe, socket)


def _start_command(argv: Sequence[str], mask: Iterable[int]) -> RunningCommand:
    from powerd.linux.subprocess import ForegroundProcess  # noqa: PLC0415 - only hold needs it

    return ForegroundProcess(argv, mask)


def _replace_process(argv: Sequence[str]) -> None:
    from powerd.linux.subprocess import replace_process  # noqa: PLC0415 - only log needs it

    replace_process(argv)


def _find_conflicts() -> list[str]:
    import asyncio  # noqa: PLC0415 - only check needs it

    from powerd.disks.conflicts.checks import find_conflicts  # noqa: PLC0415 - only check needs it
    from powerd.linux.files import HostFiles  # noqa: PLC0415 - only check needs it

    files = HostFiles()
    try:
        return asyncio.run(find_conflicts(files))
    finally:
        files.close()


def _find_missing(options: Options, file: Path) -> list[tuple[str, str]]:
    import asyncio  # noqa: PLC0415 - only check needs it

    from powerd.config.machine_check import missing_on  # noqa: PLC0415 - only check needs it

    return list(missing_on(asyncio.run(_examine_machine(options)), options, file))


async def _examine_machine(options: Options) -> MachineFacts:
    """What the check of a configuration compares with."""
    import asyncio  # noqa: PLC0415 - only check needs it
    from pathlib import Path  # noqa: PLC0415 - only check needs it

    from powerd.config.machine_check import MachineFacts, lan_networks, service_account  # noqa: PLC0415 - as above
    from powerd.disks.source.block_devices import read_block_devices  # noqa: PLC0415 - only check needs it
    from powerd.disks.source.inventory import build_inventory  # noqa: PLC0415 - only check needs it
    from powerd.disks.source.spin_up_causes import SpinUpCauses  # noqa: PLC0415 - only check needs it
    from powerd.linux.files import HostFiles  # noqa: PLC0415 - only check needs it

    files, root = HostFiles(), Path("/")
    try:
        blocks, unresolved, refused = await asyncio.gather(
            read_block_devices(files),
            _find_unresolved(options.clients.hosts),
            _refused_urls(options.hooks.notify),
        )
    finally:
        files.close()
    disks = build_inventory(blocks, (), SpinUpCauses()).disks.values()
    names = [(disk.id, disk.model, disk.serial) for disk in disks if not disk.ineligible_reason]
    return MachineFacts(root, names, unresolved, lan_networks(root), service_account(), refused)


async def _refused_urls(urls: Sequence[str]) -> list[int]:
    """The positions, from 1, of the URLs that Apprise refuses; [] if it gives no answer."""
    import json  # noqa: PLC0415 - only check needs it

    from powerd.linux.subprocess import run  # noqa: PLC0415 - only check needs it
    from powerd.linux.values import HostError  # noqa: PLC0415 - only check needs it

    argv = (sys.executable, "-I", "-m", "powerd.config.apprise_urls")
    try:
        result = await run(argv, timeout=20, stdin=json.dumps(urls).encode()) if urls else None
        return [] if result is None else list(map(int, json.loads(result.stdout)))
    except (HostError, ValueError, TypeError):
        return []


async def _find_unresolved(hosts: Sequence[str]) -> set[str]:
    """The host names without an address, by the resolver of this machine; at most ten are looked up."""
    import asyncio  # noqa: PLC0415 - only check needs it
    from ipaddress import ip_address  # noqa: PLC0415 - only check needs it

    from powerd.linux.values import HostError  # noqa: PLC0415 - only check needs it
    from powerd.presence.probe.network import HostNetwork  # noqa: PLC0415 - only check needs it

    def is_name(host: str) -> bool:
        try:
            ip_address(host)
        except ValueError:
            return True
        return False

    names = list(filter(is_name, hosts))[:10]
    network = HostNetwork()
    try:
        found = await asyncio.gather(*map(network.resolve, names), return_exceptions=True)
    finally:
        network.close()
    return {name for name, each in zip(names, found, strict=True) if not each or isinstance(each, HostError)}


def _by_id_name(device: str) -> str | None:
    from powerd.disks.conflicts.checks import by_id_name  # noqa: PLC0415 - only import needs it
    from powerd.linux.files import HostFiles  # noqa: PLC0415 - only import needs it

    files = HostFiles()
    try:
        return by_id_name(files, device)
    finally:
        files.close()


def _run_doctor(request: DoctorRequest) -> DoctorReport:
    import asyncio  # noqa: PLC0415 - only doctor needs it
    from pathlib import Path  # noqa: PLC0415 - only doctor needs it

    from powerd.doctor.service import run  # noqa: PLC0415 - only doctor needs it
    from powerd.linux.subprocess import HostProcesses  # noqa: PLC0415 - only doctor needs it

    return asyncio.run(run(request, Path("/"), HostProcesses()))


def _disable_ssl_import() -> None:
    """Make ``import ssl`` fail: asyncio and aiohttp work without it, and the daemon does not use TLS.

    OpenSSL takes 4.4 MB; the limit of the daemon is 24 MB.
    """
    if "asyncio" not in sys.modules:
        sys.modules["ssl"] = None  # type: ignore[assignment] # None makes the import fail


if __name__ == "__main__":
    sys.exit(main())
