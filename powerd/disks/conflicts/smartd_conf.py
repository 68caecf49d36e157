"""Finds the lines of smartd.conf(5) with which smartd(8) starts a stopped disk.

The directive ``-n POWERMODE[,N][,q]`` skips a disk in that power mode or a deeper one, at most N times, and
logs each skip unless there is a q.
"""

from __future__ import annotations

import re
from typing import Final

_POWER_MODE: Final = re.compile(r"\s-n\s*(\S+)")
_NVME: Final = re.compile(r"^/dev/(disk/by-id/)?nvme|\s-d\s*nvme[ ,]")
LOGS: Final = "logs that a disk is in standby, which starts the disk with the log"
_STANDBY_SAFE_MODES: Final = frozenset({"standby", "idle"})
"""With ``sleep``, smartd queries a disk in standby, which starts it."""


def device_lines(text: str) -> list[str]:
    """The lines with a device that can be stopped, each with the DEFAULT above it, as one line each.

    An NVMe drive has no spindle, and DEVICESCAN restricted to them (``-d nvme``) finds no other.
    """
    found: list[str] = []
    defaults = ""
    for line in text.replace("\\\n", " ").splitlines():
        words = line.partition("#")[0].split(maxsplit=1)
        if not words:
            continue
        rest = words[1] if len(words) > 1 else ""
        if words[0] == "DEFAULT":
            defaults = rest
        elif not _NVME.search(f"{words[0]} {rest} "):
            found.append(f"{words[0]} {defaults} {rest} ")
        if words[0] == "DEVICESCAN":  # smartd reads no further
            break
    return found


def disturbance(line: str) -> str | None:
    """What smartd does to a stopped disk with this line, to follow "smartd"; None = nothing."""
    power_modes = _POWER_MODE.findall(line)  # the last one counts
    mode, *rest = power_modes[-1].split(",") if power_modes else ("never",)
    if mode not in _STANDBY_SAFE_MODES or any(each != "q" for each in rest):
        return "starts stopped disks"
    if not rest:
        return LOGS
    return None
