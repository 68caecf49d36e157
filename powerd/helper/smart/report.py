"""How smartctl(8) reaches a drive, and the values in its reports.

A report is not trusted: each value has the expected type, or is None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from powerd.helper.disks.device import DiskDevice
from powerd.smart.model import Fault

MAX_TEXT: Final = 200
"""Characters of a text."""
_NOT_REACHED: Final = Fault.USAGE | Fault.OPEN


def device_types(disk: DiskDevice, previous: str = "") -> tuple[str, ...]:
    """Device types (``-d``) to try, the most likely first.

    smartctl recognises many USB bridges by their id ("auto", which sends nothing); most others are SAT.
    """
    if disk.is_nvme:
        return ("nvme",)
    if disk.scsi_only:
        return ("scsi",)
    if disk.on_usb:
        return tuple(dict.fromkeys((*filter(None, (previous,)), "auto", "sat", "sat,12")))
    return ("sat",)


def drive_reached(status: int) -> bool:
    """Whether smartctl has reached the drive, by its exit status."""
    return not Fault(status & 0xFF) & _NOT_REACHED


def left_asleep(report: Mapping[str, Any]) -> bool:
    """Whether smartctl has left the drive alone because it is in standby (``-n standby``).

    The exit status for that is configurable, but every number below 256 is also a sum of faults.
    """
    return any("Device is in " in text for _, text in _messages(report))


def error_message(report: Mapping[str, Any]) -> str:
    """The last error of smartctl; its last message if none is an error."""
    messages = _messages(report)
    errors = [text for severity, text in messages if severity == "error"]
    texts = errors or [text for _, text in messages]
    return printable_text(texts[-1]) if texts else "it gives no reason"


def _messages(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Severity (``error``, ``warning``, ``information``) and text of each message of smartctl."""
    messages = lookup(report, "smartctl", "messages")
    return [
        (lookup_text(each, "severity") or "error", text)
        for each in (messages if isinstance(messages, list) else [])
        if (text := lookup_text(each, "string"))
    ]


def parse_object(text: str) -> Mapping[str, Any] | None:
    """The JSON object in ``text``; None = it is truncated, nested too deeply, or not an object."""
    try:
        report = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return report if isinstance(report, dict) else None


def lookup(report: Mapping[str, Any], *path: str) -> object:
    """The value at ``path``; None = there is none."""
    value: object = report
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def lookup_int(report: Mapping[str, Any], *path: str) -> int | None:
    """The integer at ``path``."""
    return as_int(lookup(report, *path))


def as_int(value: object) -> int | None:
    """The integer; a bool is not one."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def lookup_bool(report: Mapping[str, Any], *path: str) -> bool | None:
    """The bool at ``path``."""
    value = lookup(report, *path)
    return value if isinstance(value, bool) else None


def lookup_text(report: Mapping[str, Any], *path: str) -> str | None:
    """The string at ``path``."""
    value = lookup(report, *path)
    return value if isinstance(value, str) else None


def printable_text(text: object) -> str:
    """The text with printable characters only, truncated to MAX_TEXT."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text).strip())[:MAX_TEXT]
