"""The I/O of each systemd unit, as the kernel counts it by control group.

The file ``io.stat`` of cgroup v2 (https://docs.kernel.org/admin-guide/cgroup-v2.html) exists where the
controller ``io`` is enabled: where a unit below has IOAccounting=yes or an I/O limit. Reading it accesses no
disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:  # powerd check does without it
    from powerd.linux.ports import Files


_CGROUPS: Final = "/sys/fs/cgroup"
UNIT_SUFFIXES: Final = (".service", ".scope")
_FIELDS: Final = ("rbytes", "wbytes", "rios", "wios")


class IoCounters(NamedTuple):
    """What a unit has transferred since it was started: bytes, and requests."""

    read: int = 0
    written: int = 0
    reads: int = 0
    writes: int = 0


def read_io_stats(files: Files, directory: str = _CGROUPS) -> Iterator[tuple[str, str | None]]:
    """The text of ``io.stat`` of each service and scope; nothing where the kernel does not count by unit."""
    if not counts_by_unit(files, directory):
        return
    for name in files.listdir(directory):
        if name.endswith(UNIT_SUFFIXES):
            yield name, files.read_text(f"{directory}/{name}/io.stat")
        elif name.endswith(".slice"):
            yield from read_io_stats(files, f"{directory}/{name}")


def counts_by_unit(files: Files, directory: str = _CGROUPS) -> bool:
    """Whether the kernel counts the I/O of the groups in a control group."""
    return "io" in (files.read_text(f"{directory}/cgroup.subtree_control") or "").split()


def parse_io_stat(text: str | None) -> dict[str, IoCounters]:
    """The counters by device number: ``8:0 rbytes=90112 wbytes=0 rios=5 ...``; {} = no counters."""
    found: dict[str, IoCounters] = {}
    for line in (text or "").splitlines():
        number, _, fields = line.partition(" ")
        values = {key: value for key, _, value in (field.partition("=") for field in fields.split())}
        counters = [values.get(name, "0") for name in _FIELDS]
        if values.keys() & set(_FIELDS) and all(value.isdecimal() for value in counters):
            found[number] = IoCounters(*map(int, counters))
    return found
