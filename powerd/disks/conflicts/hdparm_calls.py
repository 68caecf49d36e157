"""Finds calls of hdparm(8) that change the state of disks, in udev rules, units, cron tables and scripts.

Their options are ``-S``, ``-B``, ``-y``, ``-Y``, ``-s``, ``-J`` and ``-Z``: the standby timer, APM, standby
and sleep at once, spin-up at power-on, and the timers of WD and Seagate. Options may be joined: ``-qB254``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

FILES: Final = (
    "/etc/udev/rules.d/*.rules",
    "/run/udev/rules.d/*.rules",
    "/usr/local/lib/udev/rules.d/*.rules",
    "/usr/lib/udev/rules.d/*.rules",
    "/lib/udev/rules.d/*.rules",
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.d/*.conf",
    "/usr/local/lib/systemd/system/*.service",
    "/etc/systemd/system-sleep/*",
    "/usr/lib/systemd/system-sleep/*",
    "/lib/systemd/system-sleep/*",
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/*",
    "/etc/hdparm.conf",
    "/etc/crontab",
    "/etc/cron.d/*",
    "/etc/cron.hourly/*",
    "/etc/cron.daily/*",
    "/etc/cron.weekly/*",
    "/etc/cron.monthly/*",
    "/var/spool/cron/crontabs/*",
    "/etc/network/if-up.d/*",
    "/etc/pm/sleep.d/*",
    "/etc/pm/power.d/*",
    "/etc/laptop-mode/batt-start/*",
    "/etc/laptop-mode/batt-stop/*",
    "/etc/laptop-mode/lm-ac-start/*",
)
"""Where Debian and its administrators have commands executed without a person (udev(7), systemd.unit(5),
systemd-sleep(8), cron(8), interfaces(5), pm-action(8)).
"""
_CALL: Final = re.compile(r"(?<![\w.-])hdparm((?:\s+[^\s;|&\"'`)]+)+)")
_ORDER: Final = re.compile(r"-[A-Za-z]*[SByYsJZ][0-9]*")
_COMMENT: Final = ("#", ";")


def calls_with_orders(text: str) -> Iterator[tuple[int, str]]:
    """The number of each line that calls hdparm with an order, and the call; continued lines are one."""
    number = 1
    for line in re.split(r"(?<!\\)\n", text):
        if not line.lstrip().startswith(_COMMENT):
            for call in _CALL.finditer(line.replace("\\\n", " ")):
                if any(_ORDER.fullmatch(word) for word in call[1].split()):
                    yield number, " ".join(call[0].split())
        number += 1 + line.count("\n")
