"""The alarm of the real-time clock may not wake the server, so powerd keeps it awake.

Cause: device/power/wakeup of the clock is ``disabled``, the default of some drivers of boards. The kernel
still accepts alarms, and some boards even start by them from power-off, but powerd relies on the setting.

Cost: a server that has to be woken by ``[wake]`` or a calendar never sleeps.

Remedy: enable it, now and whenever the clock's driver is loaded.

Source: Documentation/ABI/testing/sysfs-devices-power, udev(7).
"""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import Diagnosis, OwnFile, SystemCommand

FIX: Final = "enables the clock to wake the server, by a udev rule"
_CONFIGURATION: Final = "/etc/powerd/powerd.toml"
_ATTRIBUTE: Final = "device/power/wakeup"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while powerd needs alarms, and the clock that it uses may not wake the server."""
    clocks = [path.removesuffix("/wakealarm") for path in machine.find("/sys/class/rtc/rtc*/wakealarm")]
    clock = min(clocks, key=lambda path: machine.text(f"{path}/hctosys") != "1", default="")
    if not clock or machine.text(f"{clock}/{_ATTRIBUTE}") != "disabled" or not _needs_alarm(machine):
        return
    name, path = clock.rpartition("/")[2], f"{clock}/{_ATTRIBUTE}"
    rule = f'ACTION=="add", SUBSYSTEM=="rtc", KERNEL=="{name}", ATTR{{{_ATTRIBUTE}}}="enabled"\n'
    yield Diagnosis(
        "rtc_wakeup",
        name,
        f"{path} is disabled, so an alarm might not wake the server, and powerd keeps it awake.",
        "The clock is enabled to wake the server, now and at each boot. Test it once: rtcwake -m mem -s 90.",
        files=(OwnFile("/etc/udev/rules.d/99-powerd-rtc.rules", rule),),
        commands=(
            SystemCommand(
                ("sh", "-c", f"echo enabled >{path}"),
                ("sh", "-c", f"echo disabled >{path}"),
            ),
        ),
    )


def _needs_alarm(machine: Machine) -> bool:
    """Whether powerd's configuration has times, timers or calendars to wake up for."""
    return any(map(_has_alarms, _tables(machine)))


def _has_alarms(options: Mapping[str, Any]) -> bool:
    wake, activity = options.get("wake"), options.get("activity")
    times = isinstance(wake, dict) and (wake.get("at") or wake.get("timers"))
    return bool(times or (isinstance(activity, dict) and activity.get("calendar")))


def _tables(machine: Machine) -> Iterator[Mapping[str, Any]]:
    """The tables of the configuration file, and of each file that it includes."""
    paths = [_CONFIGURATION]
    for path in paths:
        try:
            options: dict[str, Any] = tomllib.loads(machine.text(path))
        except tomllib.TOMLDecodeError:
            continue
        yield options
        names = options.get("include")
        for name in names if isinstance(names, list) else ():
            included = posixpath.normpath(posixpath.join(posixpath.dirname(path), str(name)))
            if included not in paths:
                paths.append(included)
