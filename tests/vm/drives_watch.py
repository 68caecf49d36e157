"""Reads powerd's states of the drives, and makes the configuration for tests of drives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from vm.service import Powerd

if TYPE_CHECKING:
    from vm.drives import Drive
    from vm.server import Server

EVERY: Final = 5
"""Seconds between two rounds, instead of a minute."""


def config(
    after: int,
    method: str = "command",
    rules: Mapping[Drive, str] | None = None,
    smart: str = 'every = "0s"',
    clients: str = "",
) -> str:
    """A configuration that spins disks down soon, and never puts the server to sleep.

    Args:
        after: seconds of idleness.
        method: command, timer or both.
        rules: further lines for single drives.
        smart: lines of the table [smart]; "" = health is never read.
        clients: further lines of the table [clients]; "" = powerd knows no client.
    """
    lines = [
        f'mode = "enforce"\n[clients]\nleases = []\nlearn = "0s"\nevery = "{EVERY}s"\ntimeout = "0.3s"',
        clients,
        f'[smart]\n{smart}\n[disks]\nspin_down_after = "{after}s"\nmethod = "{method}"',
    ]
    lines += [f'[[disks.rule]]\nmatch = ["{drive.id}"]\n{text}' for drive, text in (rules or {}).items()]
    return "\n".join(lines)


def disks(server: Server) -> dict[str, dict[str, Any]]:
    """``/api/disks`` by disk id, {} while no daemon answers; read from the socket, not by the command."""
    return {disk["id"]: disk for disk in Powerd(server).status().get("disks", [])}


def states(server: Server, *drives: Drive) -> list[str | None]:
    """The states that powerd reports for these drives."""
    entries = disks(server)
    return [entries.get(drive.id, {}).get("state") for drive in drives]


def journalled(server: Server, *units: str) -> list[str]:
    """Every line that the processes of these units have written to the journal, oldest first."""
    fields = [f"_SYSTEMD_UNIT={unit}.service" for unit in units]  # either: journalctl(1)
    return server.run("journalctl", "--quiet", "--output=short-monotonic", *fields).splitlines()


def bounces(server: Server) -> dict[str, list[float]]:
    """The times of early spin-ups that powerd has stored, by disk id."""
    stored = json.loads(server.run("cat", "/var/lib/powerd/disks.json"))["disks"]
    return {name: row["bounces"] for name, row in stored.items()}


def written(server: Server, *units: str) -> int:
    """Bytes that the processes of these units have written to disks (proc_pid_io(5))."""
    total = 0
    for unit in units:
        pid = server.run("systemctl", "show", "--value", "--property=MainPID", unit)
        lines = server.run("sh", "-c", f"cat /proc/{pid}/io", check=False).splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
    return total
