"""An uninterruptible power supply that runs on battery keeps the server awake.

A server that is suspended cannot shut down when the battery is low, and loses its memory when the battery
is empty. Awake, upsmon(8) or UPower shuts it down in time.

powerd itself requests no shutdown for this. NUT's upsmon(8), which is installed with upsd, does so within
seconds of "low battery" (powerd polls once a minute), first lets the computers shut down that share the UPS,
and has the UPS switch its load off, without which a server stays off when the mains return before the battery
is empty. For batteries of laptops UPower does it, without a desktop too (systemctl enable upower). No client,
activity or rule delays them. A keep-awake request refuses neither shutdown, because its lock on shutdown is
weak for root; but from systemd 257 on it refuses to hibernate, UPower's default: set
CriticalPowerAction=PowerOff in /etc/UPower/UPower.conf.

Sources: ups.status of upsd(8) by the protocol of RFC 9271, without a login; or the supplies of the kernel
with the type UPS or Battery (Documentation/ABI/testing/sysfs-class-power), which are UPSes with a driver
and batteries of laptops, without those of mice and headsets. The check fails if a supply does not answer, if
upsd reports its data as stale, or if its status is not conclusive (WAIT, Unknown).
"""

from __future__ import annotations

import re
from typing import Final, Literal

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.config.declare import OptionType, choice, duration, integer, nonempty_string, option, text_as
from powerd.config.values import parse_host
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.http_client import clean
from powerd.linux.values import HostError

_CLASS: Final = "/sys/class/power_supply"
_MAX_ANSWER: Final = 1 << 14
_END: Final = b"OK Goodbye\n"
_VARIABLE: Final = re.compile(r'^VAR \S+ (\S+) "(.*)"$', re.MULTILINE)
_LISTED: Final = re.compile(r"^UPS (\S+) ", re.MULTILINE)
_ERROR: Final = re.compile(r"^ERR (.*)$", re.MULTILINE)
_NAME: Final = re.compile(r"[\w.-]*")
_NOT_ON_BATTERY: Final = frozenset({"OL", "BYPASS", "OFF"})
"""Words of ups.status (NUT, docs/new-drivers.txt) that are conclusive; so is OB, on battery."""
_NOT_DISCHARGING: Final = frozenset({"Charging", "Not charging", "Full"})


def _ups_name() -> OptionType[str]:
    """The name of a UPS, or ""."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise ValueError("is not a name in ups.conf(5); write letters, digits, dots, hyphens")
        return value

    return OptionType(read, nonempty_string().show)


@dataclass(frozen=True, slots=True)
class Options:
    """A power supply with a battery."""

    source: Literal["nut", "sysfs"] = option(
        "nut", '"nut" = upsd, "sysfs" = the kernel', choice("nut", "sysfs")
    )
    name: str = option("", 'name of the UPS in ups.conf(5) or the kernel; "" = all', _ups_name())
    address: str = option("127.0.0.1", "IP address of upsd", text_as(parse_host))
    port: int = option(3493, "TCP port of upsd", integer(1, 65535))
    timeout: float = option(5.0, "time for each answer of upsd", duration(0.1, 10))


def parse(answer: str, name: str) -> Activity:
    """The state of one UPS from the answer to GET VAR for ups.status and battery.charge.

    Raises:
        HostError: the answer has no status; its clause begins with the reason that upsd gives.
    """
    variables = dict(_VARIABLE.findall(answer))
    status = variables.get("ups.status", "").split()
    if not status:
        errors = _ERROR.findall(answer)
        reason = errors[0][:100] if errors else "no status"
        raise HostError(f"upsd has no data of UPS {name}: {reason}; see ups.conf(5) and its driver")
    if "OB" not in status and not _NOT_ON_BATTERY.intersection(status):
        shown = clean(" ".join(status))
        raise HostError(
            f"UPS {name} may run on battery: its status is {shown}; see upsc {name} and its driver"
        )
    charge = variables.get("battery.charge", "")
    percent = float(charge) if charge.replace(".", "", 1).isdecimal() else None
    return _activity(name, percent, on_battery="OB" in status)


def _activity(name: str, charge: float | None, *, on_battery: bool) -> Activity:
    text = "runs on battery" if on_battery else "does not run on battery"
    return Activity(name, text, on_battery, charge, "" if charge is None else "% charge")


class UpsCheck:
    """Reads the status of each supply."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """One activity for each supply.

        Raises:
            HostError: upsd or its driver does not answer, or there is no such supply.
        """
        del depth
        if self._options.source == "sysfs":
            return self._read_sysfs()
        names = [self._options.name] if self._options.name else _LISTED.findall(await self._ask("LIST UPS"))
        if not names:
            raise HostError("upsd knows no UPS; see ups.conf(5)")
        found = []
        for name in names:
            answer = await self._ask(f"GET VAR {name} ups.status", f"GET VAR {name} battery.charge")
            found.append(parse(answer, name))
        return tuple(found)

    async def _ask(self, *commands: str) -> str:
        options = self._options
        data = await self._ports.network.exchange(
            (options.address, options.port),
            "".join(f"{command}\n" for command in (*commands, "LOGOUT")).encode(),
            is_complete=lambda answer: answer.endswith(_END),
            limit=_MAX_ANSWER,
            timeout=options.timeout,
        )
        return data.decode(errors="replace")

    def _read_sysfs(self) -> tuple[Activity, ...]:
        found = []
        for name in self._ports.files.listdir(_CLASS):
            kind, scope, status, capacity = (
                self._ports.files.read_text(f"{_CLASS}/{name}/{each}")
                for each in ("type", "scope", "status", "capacity")
            )
            if kind not in {"UPS", "Battery"} or scope == "Device" or self._options.name not in {"", name}:
                continue
            if not status:
                raise HostError(f"{_CLASS}/{name}/status cannot be read; check the supply and its cable")
            if status != "Discharging" and status not in _NOT_DISCHARGING:
                shown = clean(status)
                raise HostError(
                    f"{name} may run on battery: {_CLASS}/{name}/status is {shown}; name another supply"
                )
            charge = float(capacity) if capacity and capacity.isdecimal() else None
            found.append(_activity(name, charge, on_battery=status == "Discharging"))
        if not found and self._options.name:
            raise HostError(f"{_CLASS}/{self._options.name} is not a UPS; check the option name")
        if not found:
            raise NotApplicableError(f"{_CLASS} has no UPS and no battery")
        return tuple(found)


KIND: Final = CheckKind("ups", Options, UpsCheck, near_sleep_only=True)
