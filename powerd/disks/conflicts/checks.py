"""Finds other programs that send commands to disks or keep them spinning, and the remedy for each.

It only reads files. A running unit has a directory in systemd's cgroup tree (systemd.resource-control(5)).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from powerd.disks.conflicts import hdparm_calls, hdparm_conf, smartd_conf
from powerd.linux.values import HostError

if TYPE_CHECKING:  # powerd check does without it
    from powerd.linux.ports import Files

INCOMPLETE: Final = "cannot check for other programs that send commands to disks"
"""The beginning of a paragraph about a file that cannot be read."""
_REMEDY: Final = "delete it, and set spin_down_after or apm in powerd.toml"
_CGROUP_UNITS: Final = "/sys/fs/cgroup/system.slice"
_CGROUP_V1_UNITS: Final = "/sys/fs/cgroup/systemd/system.slice"
_TLP: Final = re.compile(r"^\s*(DISK_(?:SPINDOWN_TIMEOUT|APM_LEVEL)_ON_\w+)\s*=\s*\S", re.MULTILINE)
_LAPTOP_MODE: Final = re.compile(
    r"^\s*(CONTROL_HD_(?:IDLE_TIMEOUT|POWERMGMT))\s*=\s*[\"']?(?:1|auto)\b", re.MULTILINE
)
_UDISKS: Final = re.compile(r"^\s*(StandbyTimeout|APMLevel)\s*=", re.MULTILINE)
_HD_IDLE: Final = re.compile(r"^\s*START_HD_IDLE\s*=\s*[\"']?true", re.MULTILINE)

_TELEGRAF: Final = re.compile(r"^\s*\[\[\s*inputs\.smart(?:ctl)?\s*\]\]", re.MULTILINE)
_SCRUTINY: Final = "scrutiny-collector.timer"


async def find_conflicts(files: Files) -> list[str]:
    """One paragraph for each conflict, with its remedy, or with the error of a check that failed.

    Without a hard disk there is none.
    """
    return [text for texts in (await conflicts_by_program(files)).values() for text in texts]


async def conflicts_by_program(files: Files) -> dict[str, list[str]]:
    """The paragraphs of find_conflicts() by what they are about: ``hdparm``, ``udisks``."""
    found: dict[str, list[str]] = {}
    if not any(files.read_text(f"/sys/block/{name}/queue/rotational") == "1" for name in _hard_disks(files)):
        return found
    for program, check in _CHECKS.items():
        try:
            found[program] = await check(files)
        except HostError as error:
            found[program] = [f"{INCOMPLETE}: {error}"]
    return found


async def _check_hdparm(files: Files) -> list[str]:
    """Debian's hooks apply the file at each start, hotplug and resume, and only to sda to sdz."""
    text = await _read_text(files, "/etc/hdparm.conf")
    found = [
        f"/etc/hdparm.conf, line {number}: `{line}` outside all blocks applies to every disk at each start "
        f"and resume; {_REMEDY}"
        for number, line in hdparm_conf.lines_for_all_drives(text)
    ]
    drives = hdparm_conf.parse_hdparm_conf(text)
    rules = [
        rule
        for each in drives
        if (rule := hdparm_conf.disk_rule(each, lambda device: by_id_name(files, device)))
    ]
    if not rules:
        return found
    head = (
        "/etc/hdparm.conf sets timers or APM of disks, even of stopped ones after a resume; take it over "
        "into powerd.toml and empty its blocks:"
    )
    return [*found, head + "\n\n" + "\n\n".join(rules) + "\n"]


async def _check_hdparm_calls(files: Files) -> list[str]:
    """/usr/lib and /lib are one directory since Debian 12; a file is named once."""
    texts, errors = await _read_texts(files, *hdparm_calls.FILES)
    found = [
        f"{path}, line {number}: `{call}` sends commands to disks that powerd does not know of; {_REMEDY}"
        for path, text in texts.items()
        for number, call in hdparm_calls.calls_with_orders(text)
    ]
    return list(dict.fromkeys([*found, *errors]))


async def _check_hd_idle(files: Files) -> list[str]:
    on = _HD_IDLE.search(await _read_text(files, "/etc/default/hd-idle")) is not None
    if on or is_running(files, "hd-idle.service"):
        return ["hd-idle spins disks down as well; let one program do it: systemctl disable --now hd-idle"]
    return []


async def _check_tlp(files: Files) -> list[str]:
    texts, errors = await _read_texts(files, "/etc/tlp.conf", "/etc/tlp.d/*.conf", "/etc/default/tlp")
    found = [
        f"{path}: TLP sets {', '.join(sorted(set(keys)))} at each start and resume; comment them out"
        for path, text in texts.items()
        if (keys := _TLP.findall(text))
    ]
    return [*found, *errors]


async def _check_laptop_mode(files: Files) -> list[str]:
    """laptop-mode-tools sets timers and APM at each start, resume and change of power source."""
    path = "/etc/laptop-mode/laptop-mode.conf"
    keys = sorted(set(_LAPTOP_MODE.findall(await _read_text(files, path))))
    if not keys:
        return []
    return [f"{path}: laptop-mode-tools control disks by {', '.join(keys)}; set them to 0"]


async def _check_udisks(files: Files) -> list[str]:
    texts, errors = await _read_texts(files, "/etc/udisks2/*.conf")
    found = [
        f"{path}: udisks sets {', '.join(sorted(set(keys)))} at each start and resume; remove the file"
        for path, text in texts.items()
        if (keys := _UDISKS.findall(text))
    ] + errors
    if is_running(files, "udisks2.service"):
        found.append(
            "udisks2 reads the SMART values of disks every 10 minutes, which some drives count as use, so "
            "that their own timer never expires; a server does not need it: systemctl mask --now udisks2"
        )
    return found


async def _check_smartd(files: Files) -> list[str]:
    unit = next(
        (unit for unit in ("smartmontools.service", "smartd.service") if is_running(files, unit)), None
    )
    if unit is None:
        return []
    found: dict[str, list[str]] = {}
    for path in ("/etc/smartd.conf", "/etc/smartmontools/smartd.conf"):
        for line in smartd_conf.device_lines(await _read_text(files, path)):
            if what := smartd_conf.disturbance(line):
                found.setdefault(what, []).append(line.split()[0])
    return [
        f"smartd.conf: {', '.join(devices)}: smartd {what}; powerd checks their health as well; let one "
        f"program do it: systemctl disable --now {unit}, or give it -n standby,q"
        for what, devices in found.items()
    ]


async def _check_agents(files: Files) -> list[str]:
    """Monitoring programs that query disks or write to them."""
    found: list[str] = []
    if files.find(f"/etc/systemd/system/*.wants/{_SCRUTINY}") or is_running(
        files, "scrutiny-collector.service"
    ):
        found.append(
            "scrutiny starts stopped disks, because it does not check their power mode; powerd checks their "
            f"health as well; let one program do it: systemctl disable --now {_SCRUTINY}"
        )
    if is_running(files, "telegraf.service"):
        texts, errors = await _read_texts(
            files, "/etc/telegraf/telegraf.conf", "/etc/telegraf/telegraf.d/*.conf"
        )
        found += errors
        found += [
            f"{path}: telegraf reads the SMART values of disks, which some drives count as use, so that "
            "their own timer never expires; comment out [[inputs.smart]] and [[inputs.smartctl]]"
            for path, text in texts.items()
            if _TELEGRAF.search(text)
        ]
    if is_running(files, "atop.service"):
        found.append(
            "atop writes to its log every few minutes, so the disk with /var/log/atop hardly ever spins "
            "down; a server does not need it: systemctl disable --now atop"
        )
    return found


async def _check_runtime_pm(files: Files) -> list[str]:
    """Disks that the kernel suspends by itself."""
    suspended_by_kernel = [
        name
        for name in _hard_disks(files)
        if files.read_text(f"/sys/block/{name}/device/power/control") == "auto"
        and (files.read_text(f"/sys/block/{name}/device/power/autosuspend_delay_ms") or "-1")
        not in {"-1", ""}
    ]
    if not suspended_by_kernel:
        return []
    text = (
        f"{', '.join(suspended_by_kernel)}: the kernel spins it down by itself (power/control "
        "is auto), and powerd does not "
        "manage it; to change that: echo on > /sys/block/NAME/device/power/control"
    )
    return [text]


_CHECKS: Final[Mapping[str, Callable[[Files], Awaitable[list[str]]]]] = {
    "hdparm": _check_hdparm,
    "hdparm_calls": _check_hdparm_calls,
    "hd_idle": _check_hd_idle,
    "tlp": _check_tlp,
    "laptop_mode": _check_laptop_mode,
    "udisks": _check_udisks,
    "smartd": _check_smartd,
    "agents": _check_agents,
    "runtime_pm": _check_runtime_pm,
}


def _hard_disks(files: Files) -> list[str]:
    """Names of the devices of the kernel's sd driver: SATA, SAS and USB."""
    return [name for name in files.listdir("/sys/block") if name.startswith("sd")]


def is_running(files: Files, unit: str) -> bool:
    """Whether a unit runs now."""
    return unit in files.listdir(_CGROUP_UNITS) or unit in files.listdir(_CGROUP_V1_UNITS)


def by_id_name(files: Files, device: str) -> str | None:
    """The best name of a device in /dev/disk/by-id: one with model and serial number before a mere WWN."""
    device_path = files.realpath(device)
    directory = "/dev/disk/by-id"
    names = [
        name
        for name in files.listdir(directory)
        if device_path is not None and files.realpath(f"{directory}/{name}") == device_path
    ]
    if device.startswith(f"{directory}/"):
        return device.removeprefix(f"{directory}/")
    return min(names, key=lambda name: (name.startswith(("wwn-", "nvme-eui.")), name), default=None)


async def _read_text(files: Files, path: str) -> str:
    """The text of a file; "" = there is none."""
    return await files.read(path) if files.find(path) else ""


async def _read_texts(files: Files, *patterns: str) -> tuple[dict[str, str], list[str]]:
    """The texts of all files that match, by path, each file once; and one line on what cannot be read."""
    texts: dict[str, str] = {}
    seen: set[str] = set()
    errors: dict[str, None] = {}
    for pattern in patterns:
        try:
            paths = files.find(pattern)
        except HostError as error:
            errors[str(error)] = None
            continue
        for path in paths:
            real = files.realpath(path) or path  # it may be in a directory that this user may not search
            if real in seen:
                continue
            seen.add(real)
            try:
                texts[path] = await files.read(path)
            except HostError as error:
                errors[str(error)] = None
    return texts, [f"{INCOMPLETE}: {'; '.join(errors)}"] if errors else []
