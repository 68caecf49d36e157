"""The name of a disk."""

from typing import NewType

DiskId = NewType("DiskId", str)
"""A disk's name below /dev/disk/by-id, which udev makes of model and serial number; only what is excluded and
has no such name goes by the kernel's, ``loop0``."""
