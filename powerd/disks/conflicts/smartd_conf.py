"""smartd.conf(5): which of its lines have smartd(8) disturb a disk that sleeps. Pure.

The directive is ``-n POWERMODE[,N][,q]``: in that power mode or a deeper one a disk is left alone, at most N
times, and the log is told of it unless there is a q.
"""

from __future__ import annotations

import re
from typing import Final

_POWER_MODE: Final = re.compile(r"\s-n\s*(\S+)")
_STANDBY_SAFE_MODES: Final = frozenset({"standby", "idle"})
"""With ``sleep`` a disk in standby is asked, and wakes."""


def device_lines(text: str) -> list[str]:
    """Its lines with a device, each with the DEFAULT that stands above it; continued ones are joined."""
    found: list[str] = []
    defaults = ""
    for line in text.replace("\\\n", " ").splitlines():
        words = line.partition("#")[0].split(maxsplit=1)
        if not words:
            continue
        rest = words[1] if len(words) > 1 else ""
        if words[0] == "DEFAULT":
            defaults = rest
        else:
            found.append(f"{words[0]} {defaults} {rest} ")
        if words[0] == "DEVICESCAN":  # what stands after it is not read
            break
    return found


def disturbance(line: str) -> str | None:
    """What smartd does to a sleeping disk of such a line, as it goes on after "smartd"; None = nothing."""
    power_modes = _POWER_MODE.findall(line)  # the last one counts
    mode, *rest = power_modes[-1].split(",") if power_modes else ("never",)
    if mode not in _STANDBY_SAFE_MODES or any(each != "q" for each in rest):
        return "wakes sleeping disks"
    if not rest:
        return "logs that a disk sleeps, which wakes the disk with the log"
    return None
