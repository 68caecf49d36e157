"""The name of a disk."""

from typing import Final, NewType

DiskId = NewType("DiskId", str)
"""A disk's name below /dev/disk/by-id, which udev makes of model and serial number; only what is excluded and
has no such name goes by the kernel's, ``loop0``."""

BY_ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9#+.:=@_-]{0,127}"
"""What a whole name below /dev/disk/by-id fits, a regular expression: udev makes no others of hardware."""
