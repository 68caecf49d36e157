"""Block devices as blocks.read() gives them, made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from powerd.disks.source.block_devices import BlockDevice, UdevRecord

ATA_PATH = "/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block"


def record(links: Sequence[str] = (), **properties: str) -> UdevRecord:
    return UdevRecord(tuple(f"disk/by-id/{link}" for link in links), properties)


def drive(  # noqa: PLR0913 - a drive has many sides
    name: str = "sda",
    *links: str,
    path: str = ATA_PATH,
    rotational: str | None = "1",
    size: str = "3907029168",
    removable: str = "0",
    files: dict[str, str] | None = None,
    extra_properties: dict[str, str] | None = None,
    **properties: str,
) -> BlockDevice:
    """A SATA hard disk by default; ``ID_ATA=""`` removes the ATA property."""
    attributes = {"dev": "8:0", "size": size, "removable": removable, **(files or {})}
    if rotational is not None:
        attributes["queue/rotational"] = rotational
    known = {"ID_ATA": "1"} | (extra_properties or {}) | properties
    known = {key: value for key, value in known.items() if value}
    return BlockDevice(name, f"{path}/{name}", attributes, record(links, **known))


def partition(name: str, parent: str, number: str = "", **properties: str) -> BlockDevice:
    return BlockDevice(
        name, f"/sys/x/{name}", {"dev": number} if number else {}, record((), **properties), parent
    )


def stacked_device(
    name: str, *slaves: str, files: dict[str, str] | None = None, **properties: str
) -> BlockDevice:
    """A device that the kernel makes of others."""
    attributes = {"size": "1000", **(files or {})}
    return BlockDevice(
        name, f"/sys/devices/virtual/block/{name}", attributes, record((), **properties), slaves=slaves
    )


def by_name(*blocks: BlockDevice) -> dict[str, BlockDevice]:
    return {block.name: block for block in blocks}
