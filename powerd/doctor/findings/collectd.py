"""collectd writes each value to a file on a hard disk at once.

Cause: the plugin rrdtool updates one file per metric at each interval, 10 seconds by default, unless
``CacheTimeout`` lets it collect values in memory. Debian's configuration does not set it.

Cost: the disk never stops.

Remedy: values are collected for six hours and then written together. Those in memory are written when
collectd stops and lost when it crashes; graphs are up to six hours late. Up to 20 MB of memory for 100
metrics.

Source: collectd.conf(5) (CacheTimeout, CacheFlush; a block may be given twice); Debian's
/etc/collectd/collectd.conf includes /etc/collectd/collectd.conf.d/*.conf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "writes the values every six hours, by a fragment of collectd.conf"
_UNIT: Final = "collectd.service"
_FRAGMENTS: Final = "/etc/collectd/collectd.conf.d"
_LOADED: Final = re.compile(r"^\s*(?:LoadPlugin\s+|<LoadPlugin\s+)\"?rrdtool\b", re.MULTILINE)
_DATA: Final = re.compile(r"^\s*DataDir\s+\"?([^\"\s]+)", re.MULTILINE)
_CACHED: Final = re.compile(r"^\s*CacheTimeout\s+\"?([1-9]\d{2,})", re.MULTILINE)
_FRAGMENT: Final = "<Plugin rrdtool>\n\tCacheTimeout 21600\n\tCacheFlush 21600\n</Plugin>\n"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the plugin is loaded and writes values one by one to a hard disk."""
    main = machine.text("/etc/collectd/collectd.conf")
    text = "\n".join([main, *(text for _, text in machine.texts(f"{_FRAGMENTS}/*.conf"))])
    found = _DATA.search(text)
    directory = found[1] if found else "/var/lib/collectd/rrd"
    disks = machine.disks_of(directory)
    if not machine.running(_UNIT) and not machine.enabled(_UNIT):
        return
    if not _LOADED.search(text) or _CACHED.search(text) or not disks:
        return
    yield Diagnosis(
        "collectd",
        _UNIT,
        f"It writes each value to {directory} on {', '.join(disks)} at once.",
        "Values are collected in memory and written every six hours, and when collectd stops; graphs are "
        "late by that, and a crash or power failure loses them.",
        disks=disks,
        files=(OwnFile(f"{_FRAGMENTS}/zz-powerd.conf", _FRAGMENT),) if _FRAGMENTS in main else (),
        commands=(restart(_UNIT),) if _FRAGMENTS in main else (),
        by_hand="" if _FRAGMENTS in main else f"In /etc/collectd/collectd.conf:\n{_FRAGMENT}",
        accesses=AccessPattern(units=(_UNIT,), comms=("collectd", "writer#0"), paths=(f"{directory}/",)),
    )
