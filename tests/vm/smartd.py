"""What smartd(8) reports about the server's drives, with the names of powerd's findings.

smartd runs as a service for one check; its errors are the messages of priority LOG_CRIT. It stores the state
of a drive between two calls, since it reports logs and raw counts only when they grow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vm.drives import Drive
    from vm.server import Server

_UNIT: Final = "smartd-once"
_CONFIG: Final = "/run/smartd-once.conf"
_MEMORY: Final = "/run/smartd-once."
_DIRECTIVES: Final = "-d sat -n never -a -W 0,0,55 -R 199!"
"""All that it watches by default, the temperature that powerd warns at, and transfers that arrive garbled."""
_WITHIN: Final = 400
"""Seconds for five drives, on an emulated processor."""
_KINDS: Final = {
    r"FAILED SMART self-check": "verdict",
    r"Currently unreadable \(pending\) sectors": "pending",
    r"Offline uncorrectable sectors": "uncorrectable",
    r"Failed SMART usage Attribute: 5 ": "attribute 5",
    r"Self-Test Log error count increased": "self-test",
    r"previous self-test completed with error": "self-test",
    r"ATA error count increased": "errors",
    r"reached critical limit": "temperature",
    r"SMART Usage Attribute: 199 .* changed": "crc",
}
"""smartd's words (its smartd.cpp, version 7.3), and the kinds of powerd's findings."""


def smartd_errors(server: Server, *drives: Drive) -> dict[str, set[str]]:
    """The kinds of smartd's errors by the name of each drive; empty = none.

    Raises:
        AssertionError: a message of smartd has no kind here.
    """
    server.lay(_CONFIG, "".join(f"{drive.path} {_DIRECTIVES}\n" for drive in drives))
    # It is READY after its first check, so this returns then.
    server.run(
        *("systemd-run", "--quiet", "--collect", f"--unit={_UNIT}", "--property=Type=notify"),
        f"--property=TimeoutStartSec={_WITHIN}",
        *("smartd", "--no-fork", f"--configfile={_CONFIG}", f"--savestates={_MEMORY}"),
        within=_WITHIN,
    )
    run = server.run("systemctl", "show", "--value", "--property=InvocationID", _UNIT)
    server.run("systemctl", "stop", _UNIT)
    server.run("journalctl", "--sync")
    output = server.run(
        "journalctl", "--priority=crit", "--output=cat", f"_SYSTEMD_INVOCATION_ID={run}", check=False
    )
    found: dict[str, set[str]] = {drive.name: set() for drive in drives}
    for line in output.splitlines():
        named = [drive.name for drive in drives if drive.path in line]
        kinds = {kind for words, kind in _KINDS.items() if re.search(words, line)}
        assert len(named) == len(kinds) == 1, f"unknown message of smartd: {line}"
        found[named[0]] |= kinds
    return found
