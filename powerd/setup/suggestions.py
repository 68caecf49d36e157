"""Finds clients that probably never show that somebody is home."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from powerd.presence.view import match_pattern
from powerd.setup.model import Pattern

if TYPE_CHECKING:
    from powerd.ui.schema import ClientJson, DiskJson

_KINDS: Final[dict[str, frozenset[str]]] = {
    "printer": frozenset({"printer", "officejet", "laserjet", "deskjet", "epson", "brother", "canon"}),
    "TV or media box": frozenset(
        {"tv", "appletv", "chromecast", "firetv", "roku", "shield", "bravia", "kodi", "settop", "avr"}
    ),
    "loudspeaker": frozenset({"sonos", "homepod", "echo", "speaker", "soundbar"}),
    "network device": frozenset(
        {"ap", "switch", "router", "repeater", "unifi", "accesspoint", "mesh", "powerline", "firewall"}
    ),
    "smart home": frozenset(
        {
            *("bulb", "lamp", "plug", "esp", "shelly", "tasmota", "hue", "bridge", "thermostat", "sensor"),
            *("camera", "cam", "doorbell", "vacuum", "roborock", "wled"),
        }
    ),
    "server": frozenset({"nas", "server", "proxmox", "pve", "hypervisor"}),
}
"""The words of a name that show the kind of a device."""
_MAKERS: Final[dict[str, tuple[str, ...]]] = {
    "smart home": ("espressif", "tuya", "signify", "philips lighting", "shelly", "allterco", "ikea"),
    "network device": ("ubiquiti", "mikrotik", "aruba", "zyxel"),
    "loudspeaker": ("sonos",),
    "TV or media box": ("roku",),
    "printer": ("brother industries", "seiko epson", "kyocera", "lexmark"),
}
"""Makers, in lower case, of cards that are in devices of one kind only."""


def reason_to_ignore(client: ClientJson) -> str | None:
    """Why a client is suggested for ``ignore``, two or three words; None = it may belong to a person."""
    if not client["keeps_awake"]:
        return "ignored so far"
    words = set(re.split(r"[^a-z]+", (client["name"] or "").partition(".")[0].lower()))
    for kind, names in _KINDS.items():
        if names & words:
            return kind
    maker = (client["maker"] or "").lower()
    for kind, makers in _MAKERS.items():
        if maker.startswith(makers):
            return kind
    return "always on" if client["always_on"] else None


def pattern_of(client: ClientJson, shared: frozenset[str | None]) -> Pattern:
    """The pattern of a client, with what is known of it as the comment; ``shared`` as in match_pattern()."""
    pattern = match_pattern(client, shared)
    known = (client["name"], client["address"], client["maker"])
    return Pattern(pattern, ", ".join(each for each in known if each and each != pattern))


def may_spin_down(disk: DiskJson) -> bool:
    """Whether powerd can spin a disk down: a hard disk that is not excluded."""
    return disk["state"] not in {"excluded", "unsupported"} and disk["rpm"] != 0


def disk_pattern(disk: DiskJson) -> Pattern:
    """By its name in /dev/disk/by-id, since the names of the kernel change.

    ``?`` stands for a character that a configuration file refuses.
    """
    mounts = " ".join(mount["where"] for mount in disk["mounts"])
    name = "".join(char if char.isprintable() else "?" for char in disk["id"])
    return Pattern(name, ", ".join(filter(None, (disk["model"], mounts))))
