"""Other programs that give disks orders, or keep them awake by asking: named, with what to do about each.

Only files are looked at. A unit that runs has a directory in systemd's cgroup tree
(systemd.resource-control(5)).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from powerd.doctor import hdparm_conf, smartd_conf
from powerd.host.values import HostError

_UNITS: Final = "/sys/fs/cgroup/system.slice"
_OLD_UNITS: Final = "/sys/fs/cgroup/systemd/system.slice"
_TLP: Final = re.compile(r"^\s*(DISK_(?:SPINDOWN_TIMEOUT|APM_LEVEL)_ON_\w+)\s*=\s*\S", re.MULTILINE)
_UDISKS: Final = re.compile(r"^\s*(StandbyTimeout|APMLevel)\s*=", re.MULTILINE)
_HD_IDLE: Final = re.compile(r"^\s*START_HD_IDLE\s*=\s*[\"']?true", re.MULTILINE)

_TELEGRAF: Final = re.compile(r"^\s*\[\[\s*inputs\.smart(?:ctl)?\s*\]\]", re.MULTILINE)
_SCRUTINY: Final = "scrutiny-collector.timer"


class Eyes(Protocol):
    """What looking for conflicts needs; see powerd.host.eyes."""

    def find(self, pattern: str) -> tuple[str, ...]:
        """Paths of files that fit a glob."""
        ...

    def entries(self, directory: str) -> tuple[str, ...]:
        """Names of all that is in a directory; () = there is none such."""
        ...

    def peek(self, path: str) -> str | None:
        """A small file's text; None = it is not there."""
        ...

    def target(self, path: str) -> str | None:
        """Where it really is, all links followed."""
        ...

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        """The file's text."""
        ...


async def conflicts(eyes: Eyes) -> list[str]:
    """One paragraph for each thing that a person should know, with its remedy; a look that fails says so.

    A machine without a spinning disk has none.
    """
    found: list[str] = []
    if not any(eyes.peek(f"/sys/block/{name}/queue/rotational") == "1" for name in _hard_disks(eyes)):
        return found
    for look in _LOOKS:
        try:
            found += await look(eyes)
        except HostError as error:
            found.append(f"cannot look for what else gives disks orders: {error}")
    return found


async def _hdparm(eyes: Eyes) -> list[str]:
    """Debian's hooks set what the file says at each start, hotplug and wake-up, of sda to sdz alone."""
    drives = hdparm_conf.parse(await _text(eyes, "/etc/hdparm.conf"))
    rules = [
        rule for each in drives if (rule := hdparm_conf.rule(each, lambda device: name_of(eyes, device)))
    ]
    if not rules:
        return []
    head = (
        "/etc/hdparm.conf sets timers or APM of disks, also of sleeping ones after a wake-up; take it over "
        "into powerd.toml and empty its blocks:"
    )
    return [head + "\n\n" + "\n\n".join(rules) + "\n"]


async def _hd_idle(eyes: Eyes) -> list[str]:
    on = _HD_IDLE.search(await _text(eyes, "/etc/default/hd-idle")) is not None
    if on or runs(eyes, "hd-idle.service"):
        return ["hd-idle spins disks down too; let one do it: systemctl disable --now hd-idle"]
    return []


async def _tlp(eyes: Eyes) -> list[str]:
    found: list[str] = []
    for path in ("/etc/tlp.conf", *eyes.find("/etc/tlp.d/*.conf"), "/etc/default/tlp"):
        keys = sorted(set(_TLP.findall(await _text(eyes, path))))
        if keys:
            found.append(f"{path}: TLP sets {', '.join(keys)} at each start and wake-up; comment them out")
    return found


async def _udisks(eyes: Eyes) -> list[str]:
    found = [
        f"{path}: udisks sets {', '.join(sorted(set(keys)))} at each start and wake-up; remove the file"
        for path in eyes.find("/etc/udisks2/*.conf")
        if (keys := _UDISKS.findall(await _text(eyes, path)))
    ]
    if runs(eyes, "udisks2.service"):
        found.append(
            "udisks2 asks disks for their SMART values every 10 minutes, which some drives count as use, so "
            "that their own timer never runs out; a server can do without: systemctl mask --now udisks2"
        )
    return found


async def _smartd(eyes: Eyes) -> list[str]:
    unit = next((unit for unit in ("smartmontools.service", "smartd.service") if runs(eyes, unit)), None)
    if unit is None:
        return []
    found: dict[str, list[str]] = {}
    for path in ("/etc/smartd.conf", "/etc/smartmontools/smartd.conf"):
        for line in smartd_conf.lines(await _text(eyes, path)):
            if what := smartd_conf.disturbance(line):
                found.setdefault(what, []).append(line.split()[0])
    return [
        f"smartd.conf: {', '.join(devices)}: smartd {what}; powerd checks their health too, so let one do "
        f"it: systemctl disable --now {unit}, or give it -n standby,q"
        for what, devices in found.items()
    ]


async def _agents(eyes: Eyes) -> list[str]:
    """Programs that measure, and ask or write while they do."""
    found: list[str] = []
    if eyes.find(f"/etc/systemd/system/*.wants/{_SCRUTINY}") or runs(eyes, "scrutiny-collector.service"):
        found.append(
            "scrutiny asks disks without looking whether they sleep, and so wakes them; powerd checks their "
            f"health too, so let one do it: systemctl disable --now {_SCRUTINY}"
        )
    if runs(eyes, "telegraf.service"):
        found += [
            f"{path}: telegraf asks disks for their SMART values, which some drives count as use, so that "
            "their own timer never runs out; comment out [[inputs.smart]] and [[inputs.smartctl]]"
            for path in ("/etc/telegraf/telegraf.conf", *eyes.find("/etc/telegraf/telegraf.d/*.conf"))
            if _TELEGRAF.search(await _text(eyes, path))
        ]
    if runs(eyes, "atop.service"):
        found.append(
            "atop writes to its log every few minutes, so the disk with /var/log/atop hardly sleeps; a "
            "server can do without: systemctl disable --now atop"
        )
    return found


async def _runtime_pm(eyes: Eyes) -> list[str]:
    """Disks that the kernel suspends by itself."""
    owned = [
        name
        for name in _hard_disks(eyes)
        if eyes.peek(f"/sys/block/{name}/device/power/control") == "auto"
        and (eyes.peek(f"/sys/block/{name}/device/power/autosuspend_delay_ms") or "-1") not in {"-1", ""}
    ]
    if not owned:
        return []
    text = (
        f"{', '.join(owned)}: the kernel spins it down by itself (power/control is auto), and powerd leaves "
        "it alone; to change that: echo on > /sys/block/NAME/device/power/control"
    )
    return [text]


_LOOKS: Final[tuple[Callable[[Eyes], Awaitable[list[str]]], ...]] = (
    _hdparm,
    _hd_idle,
    _tlp,
    _udisks,
    _smartd,
    _agents,
    _runtime_pm,
)


def _hard_disks(eyes: Eyes) -> list[str]:
    """Names of what the kernel's sd drives: SATA, SAS and USB."""
    return [name for name in eyes.entries("/sys/block") if name.startswith("sd")]


def runs(eyes: Eyes, unit: str) -> bool:
    """Whether a service runs at this moment."""
    return unit in eyes.entries(_UNITS) or unit in eyes.entries(_OLD_UNITS)


def name_of(eyes: Eyes, device: str) -> str | None:
    """The best name of a device in /dev/disk/by-id: one with model and serial number, no mere number."""
    at = eyes.target(device)
    here = "/dev/disk/by-id"
    names = [name for name in eyes.entries(here) if at is not None and eyes.target(f"{here}/{name}") == at]
    if device.startswith(f"{here}/"):
        return device.removeprefix(f"{here}/")
    return min(names, key=lambda name: (name.startswith(("wwn-", "nvme-eui.")), name), default=None)


async def _text(eyes: Eyes, path: str) -> str:
    """A file's text; "" where there is none."""
    return await eyes.read(path) if eyes.find(path) else ""
