"""Parses Debian's /etc/hdparm.conf (hdparm.conf(5)) and translates it into rules for powerd.

Lines ``option = value`` outside of a block apply to all drives: to those with a block, ``DEVICE { ... }``, as
its defaults, and to all others as they are (Debian's /lib/hdparm/hdparm-functions). A line that begins with
``#`` is a comment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from powerd.config.values import format_duration
from powerd.core.dataclass import dataclass

_SPINDOWN: Final = ("spindown_time", "force_spindown_time")
_APM: Final = "apm"
_MIN_APM, _MAX_APM = 1, 254


@dataclass(frozen=True, slots=True)
class HdparmSettings:
    """The settings of one drive.

    Attributes:
        device: as the file names it, ``/dev/sda``.
        spindown: the count of ``hdparm -S``; None = not set.
        apm: the level of ``hdparm -B``; None = not set.
    """

    device: str
    spindown: int | None = None
    apm: int | None = None


def parse_hdparm_conf(text: str) -> tuple[HdparmSettings, ...]:
    """The drives with a block, in their order; unknown lines are ignored."""
    found: list[HdparmSettings] = []
    defaults = HdparmSettings("")
    block: HdparmSettings | None = None
    for line in text.splitlines():
        words = line.replace("{", " { ").replace("}", " } ").replace("=", " = ").split()
        if not words or words[0].startswith("#"):
            continue
        if "{" in words:
            block = replace(defaults, device=words[0])
            words = words[words.index("{") + 1 :]
        block_ends = "}" in words
        words = words[: words.index("}")] if block_ends else words
        if block is None:
            defaults = _with_option(defaults, words)
        else:
            block = _with_option(block, words)
        if block_ends and block is not None:
            found.append(block)
            block = None
    return tuple(each for each in found if each.device.startswith("/dev/"))


def lines_for_all_drives(text: str) -> list[tuple[int, str]]:
    """The number and the text of each line outside all blocks that sets a timer or APM."""
    found: list[tuple[int, str]] = []
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        words = line.replace("=", " = ").split()
        if not depth and _with_option(HdparmSettings(""), words) != HdparmSettings(""):
            found.append((number, " ".join(words)))
        depth = max(depth + line.count("{") - line.count("}"), 0)
    return found


def _with_option(settings: HdparmSettings, words: list[str]) -> HdparmSettings:
    """The settings with the option of one line."""
    match words:
        case [option, "=", value] if value.isascii() and value.isdecimal():
            if option in _SPINDOWN:
                return replace(settings, spindown=int(value))
            if option == _APM:
                return replace(settings, apm=int(value))
    return settings


def standby_seconds(count: int) -> float | None:
    """The seconds that ``hdparm -S`` means by a count (hdparm(8)); 0 = never, None = vendor specific."""
    if count <= 240:  # noqa: PLR2004 - the table of hdparm(8)
        return count * 5.0
    if count <= 251:  # noqa: PLR2004 - the table of hdparm(8)
        return (count - 240) * 1800.0
    return {252: 1260.0, 255: 1275.0}.get(count)


def disk_rule(settings: HdparmSettings, by_id_name: Callable[[str], str | None]) -> str:
    """The equivalent [[disks.rule]] as TOML; "" = the settings have none.

    Args:
        settings: of one drive.
        by_id_name: the name in /dev/disk/by-id of a device such as ``/dev/sda``; None = it has none.
    """
    spin_down_after = None if settings.spindown is None else standby_seconds(settings.spindown)
    apm = settings.apm if settings.apm and _MIN_APM <= settings.apm <= _MAX_APM else None
    if spin_down_after is None and apm is None:
        return ""
    name = by_id_name(settings.device)
    lines = ["[[disks.rule]]"]
    if name is None:
        lines.append(f"# {settings.device} is not there now; put its name in /dev/disk/by-id here")
    lines.append(f'match = ["{name or "ata-..."}"]')
    if spin_down_after is not None:
        lines.append(f'spin_down_after = "{format_duration(spin_down_after)}"')
    if spin_down_after:
        lines.append('method = "timer"')
    if apm is not None:
        lines.append(f"apm = {apm}")
    return "\n".join(lines)
