"""Parses udev's database: one file per block device in /run/udev/data, ``bMAJOR:MINOR``.

Each line is a letter, a colon and a value: ``S:`` a link below /dev, ``E:`` a property KEY=VALUE; other
letters are tags, priorities and times. The format is systemd's own
(src/libsystemd/sd-device/device-private.c, device_update_db).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

_ESCAPE: Final = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")


@dataclass(frozen=True, slots=True)
class UdevRecord:
    """The record of a device.

    Attributes:
        links: names below /dev, ``disk/by-id/ata-...``.
        properties: by key, ``ID_SERIAL_SHORT``; without empty values.
    """

    links: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def get(self, *keys: str) -> str:
        """The value of the first of ``keys`` that has one; "" if none has."""
        return next((value for key in keys if (value := self.properties.get(key))), "")


def record_path(device_number: str) -> str:
    """The file of the block device ``MAJOR:MINOR``."""
    return f"/run/udev/data/b{device_number}"


def parse_record(text: str | None) -> UdevRecord:
    """The record in the text of a file; lines of any other format are ignored; None = there is no file."""
    links: list[str] = []
    properties: dict[str, str] = {}
    for line in (text or "").split("\n"):
        kind, colon, value = line.partition(":")
        if not colon:
            continue
        if kind == "S":
            links.append(value)
        elif kind == "E":
            key, equals, content = value.partition("=")
            if equals and key and content:
                properties[key] = content
    return UdevRecord(tuple(links), MappingProxyType(properties))


def unescape_hex(encoded: str) -> str:
    r"""Decodes an ``_ENC`` property, with ``\x20`` for a blank and the like (udev_util_encode_string)."""
    text = _ESCAPE.sub(
        lambda found: bytes.fromhex(found[0].replace("\\x", "")).decode(errors="replace"), encoded
    )
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
