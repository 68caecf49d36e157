"""The disks of the machine.

``blocks`` reads; ``udev``, ``mounts`` and ``counters`` parse; ``identity``, ``groups`` and ``inventory`` make
sense of it; ``source`` is the sensor.
"""

from powerd.sources.disks.source import DiskSource

__all__ = ["DiskSource"]
