"""A booted server with powerd, and the one client that keeps it awake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rig.boot import Booted
from rig.daemon import NO_CHECKS
from rig.lan import Host, Lan
from rig.wait import until

POWERD: Final = "/opt/powerd/bin/powerd"
CONFIG: Final = """\
mode = "{mode}"
[clients]
leases = []
hosts = ["10.77.1.9"]
learn = "0s"
every = "5s"
timeout = "1s"
absent_after = "6s"
[[sleep]]
action = "{action}"
idle_for = "2s"
warn = "0s"
[awake]
after_start = "0s"
after_resume = "0s"
"""


class SleepingServer:
    """The booted server, and the one client that keeps it awake."""

    def __init__(self, server: Booted, laptop: Host) -> None:
        self.server = server
        self.laptop = laptop

    def status(self) -> dict[str, Any]:
        """``powerd status --json`` on the server."""
        status: dict[str, Any] = json.loads(self.server.run(POWERD, "status", "--json", check=False) or "{}")
        return status

    def shown(self, name: str) -> str:
        """One property of the unit (systemctl(1), show)."""
        return self.server.run("systemctl", "show", "--value", f"--property={name}", "powerd")

    def reasons(self) -> list[str]:
        """Every reason that keeps it awake, as ``subject: text``."""
        found = self.status().get("decision", {"reasons": []})["reasons"]
        return [f"{reason['subject']}: {reason['text']}" for reason in found if reason["keeps_awake"]]

    def awake_because(self, words: str) -> None:
        """Wait until a reason contains these words."""
        what = f'a reason says "{words}"'
        until(lambda: any(words in reason for reason in self.reasons()), what, within=180, every=0.5)

    def locks(self) -> list[dict[str, Any]]:
        """Powerd's own inhibitor locks, as logind lists them (busctl(1))."""
        text = self.server.run(
            *("busctl", "--json=short", "call", "org.freedesktop.login1", "/org/freedesktop/login1"),
            *("org.freedesktop.login1.Manager", "ListInhibitors"),
        )
        names = ("what", "who", "why", "mode", "uid", "pid")
        rows = [dict(zip(names, row, strict=True)) for row in json.loads(text)["data"][0]]
        return [row for row in rows if row["who"] == "powerd"]

    def configure(self, mode: str, more: str = "", action: str = "poweroff", checks: str = NO_CHECKS) -> None:
        """Write a configuration; a reload applies it."""
        self.server.lay("etc/powerd/powerd.toml", CONFIG.format(mode=mode, action=action) + checks + more)


@contextmanager
def installed_server(scratch: Path) -> Iterator[SleepingServer]:
    """The server, installed and not booted; raises CannotBootError as Booted does."""
    with Lan(scratch) as lan:
        laptop = lan.join("laptop")
        laptop.take("10.77.1.9/24")
        with Booted(scratch, lan.server.inside) as server:
            server.install_powerd()
            yield SleepingServer(server, laptop)
