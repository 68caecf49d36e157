"""powerd as the service of a server: configured, started and queried as its users do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rig.daemon import NO_CHECKS
from rig.wait import until

if TYPE_CHECKING:
    from rig.lan import Host
    from vm.server import Server

EVERY: Final = 5
ABSENT_AFTER: Final = 4
IDLE_FOR: Final = 4
TURNS: Final = ("warning", "going-down", "woke")
"""Events of the journal and of /api/events, in their order."""
_ON_CONSOLE: Final = re.compile(r"^\[ *([0-9.]+)\] powerd\[\d+\]: (.*?)\r?$", re.MULTILINE)
_ASK: Final = """\
exec 3<>/dev/tcp/127.0.0.1/8787 &&
printf 'GET %s HTTP/1.0\\r\\nHost: localhost:8787\\r\\n\\r\\n' "$0" >&3 &&
cat <&3
"""
_JOURNAL: Final = """\
journalctl --sync  # writes pending messages
run=$(systemctl show --value --property=InvocationID powerd)
exec journalctl --output=json "_SYSTEMD_INVOCATION_ID=$run"
"""


def config(
    *hosts: Host,
    action: str = "suspend",
    absent_after: int = ABSENT_AFTER,
    idle_for: int = IDLE_FOR,
    **more: str,
) -> str:
    """A configuration with short times, for these clients.

    Args:
        hosts: whose presence counts.
        action, absent_after, idle_for: as in powerd.toml; times in seconds.
        more: ``warn``, ``after_resume``, ``learn`` ("0s" each), and further lines: ``rule`` of the sleep
            rule, ``wake`` and ``hooks`` of those tables; ``checks``: tables of checks; others are off.
    """
    return "\n".join(
        [
            'mode = "enforce"',
            f"[clients]\nleases = []\nhosts = {[host.address for host in hosts]}",
            f'learn = "{more.get("learn", "0s")}"',
            f'every = "{EVERY}s"\ntimeout = "0.3s"\nabsent_after = "{absent_after}s"',
            f'[[sleep]]\naction = "{action}"\nidle_for = "{idle_for}s"\nwarn = "{more.get("warn", "0s")}"',
            more.get("rule", ""),
            f'[awake]\nafter_start = "0s"\nafter_resume = "{more.get("after_resume", "0s")}"',
            f"[wake]\n{more.get('wake', '')}",
            f"[hooks]\n{more.get('hooks', '')}",
            more.get("checks", NO_CHECKS),
        ]
    )


@dataclass(frozen=True)
class JournalEntry:
    """One entry of powerd's journal.

    Attributes:
        at: CLOCK_MONOTONIC of the server, seconds.
        event: POWERD_EVENT; "" = unknown.
        text: the message.
        cause: POWERD_CAUSE; "" = none.
    """

    at: float
    event: str
    text: str
    cause: str = ""


class Powerd:
    """The service of ``server``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def start(self, configuration: str) -> None:
        """Start a new daemon with a configuration, and wait for READY (Type=notify)."""
        self._server.lay("/etc/powerd/powerd.toml", configuration)
        self._server.run("systemctl", "restart", "powerd")

    def take(self, configuration: str) -> None:
        """Write another configuration, and reload the daemon."""
        self._server.lay("/etc/powerd/powerd.toml", configuration)
        entries = len(self.journal())
        self._server.run("systemctl", "reload", "powerd")
        until(lambda: any(entry.event == "reload" for entry in self.journal()[entries:]), "it is taken over")

    def stop(self) -> None:
        """Stop the daemon, and reset its count of restarts."""
        self._server.run("systemctl", "stop", "powerd")
        self._server.run("systemctl", "reset-failed", "powerd", check=False)

    def forget(self) -> None:
        """Remove the stored state: the next daemon knows no keep-awake request and no client."""
        self._server.run("sh", "-c", "rm -rf /var/lib/powerd/*")

    def kill(self, signal: str) -> None:
        """Send ``signal`` to the daemon."""
        self._server.run("kill", f"-{signal}", str(self.pid()))

    def pid(self) -> int:
        """The process id of the daemon."""
        return int(self.shown("MainPID"))

    def restarts(self) -> int:
        """How often systemd has restarted the daemon."""
        return int(self.shown("NRestarts"))

    def shown(self, name: str) -> str:
        """One property of the unit (systemctl(1), show)."""
        return self._server.run("systemctl", "show", "--value", f"--property={name}", "powerd")

    def get(self, path: str) -> str:
        """The response of its HTTP server for a path, "" = none."""
        answer = self._server.run("bash", "-c", _ASK, path, check=False).replace("\r", "")
        return answer.partition("\n\n")[2]

    def status(self) -> dict[str, Any]:
        """``/api/status``, {} = no answer; read from the socket, as the command takes a second to start."""
        status: dict[str, Any] = json.loads(self.get("/api/status") or "{}")
        return status

    def state(self) -> str | None:
        """``awake``, ``idle``, ``warning``…; None while no daemon answers."""
        return self.status().get("state")

    def reasons(self) -> list[str]:
        """The reasons that ``powerd why`` lists, as ``subject: text``."""
        reasons = self.status().get("decision", {}).get("reasons", [])
        return [f"{reason['subject']}: {reason['text']}" for reason in reasons]

    def logs(self, words: str, within: float = 300) -> str:
        """Wait until a reason contains these words; returns that reason."""
        reasons = until(
            self.reasons,
            f'`powerd why` lists "{words}"',
            within,
            every=0.2,
            accept=lambda reasons: any(words in each for each in reasons),
        )
        return next(each for each in reasons if words in each)

    def ready(self) -> None:
        """Wait until the daemon holds its delay lock, so that logind waits before the next sleep."""
        until(lambda: any("powerd" in lock for lock in self._server.locks("delay")), "logind waits for it")

    def sees(self, host: Host) -> None:
        """Wait until this client keeps the server awake."""
        self.logs(f"{host.address}: home")

    def turns(self) -> list[JournalEntry]:
        """The journal's entries about a sleep and the wake-up."""
        return [entry for entry in self.journal() if entry.event in TURNS]

    def journal(self) -> list[JournalEntry]:
        """The journal of the present or last daemon, oldest entry first."""
        lines = self._server.run("sh", "-c", _JOURNAL).splitlines()
        return [
            JournalEntry(
                int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6,
                entry["POWERD_EVENT"],
                entry["MESSAGE"],
                entry.get("POWERD_CAUSE", ""),
            )
            for entry in map(json.loads, lines)
            if "POWERD_EVENT" in entry
        ]

    def console_entries(self) -> list[JournalEntry]:
        """The entries on the console, also of a server that is off; without events and causes."""
        return [JournalEntry(float(at), "", text) for at, text in _ON_CONSOLE.findall(self._server.console())]
