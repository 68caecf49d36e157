"""The name of a disk."""

from typing import Annotated, Final, NewType, TypeAlias

from powerd.core.codec import pattern, span

DiskId = NewType("DiskId", str)
"""A disk's name below /dev/disk/by-id, which udev makes of model and serial number; only what is excluded and
has no such name goes by the kernel's, ``loop0``."""

BY_ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9#+.:=@_-]{0,127}"
"""What a whole name below /dev/disk/by-id fits, a regular expression: udev makes no others of hardware."""

ByIdName: TypeAlias = Annotated[
    DiskId, pattern(BY_ID_PATTERN, "a disk's name in /dev/disk/by-id of 1 to 128 characters")
]
"""A disk that the helper can be asked about."""

CommandCount: TypeAlias = Annotated[int, span(0, 99)]
"""Commands sent to a drive past the block layer; Linux before 5.18 counts them as reads."""
