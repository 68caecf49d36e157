"""Load: tasks wait for the CPU or for memory, over minutes.

It catches work that no other check knows. Pressure stall information is the share of time in which at least
one task could not run because a resource was busy. A program that runs alone on an idle CPU waits for nothing
and is not seen. The kernel's averages of the last minute and of the last five minutes must both be above the
threshold, so a short peak does not count, and the end of the work is noticed within a minute or two.

Waiting for I/O does not count: a task that sleeps in io_uring_enter(2) counts as one in io.pressure, also if
it waits for a socket or a pipe, so an idle server that uses io_uring would seem busy. What waits for a disk
is seen by ``disk_io``.

Source: cpu.pressure and memory.pressure of the root of cgroup v2
(https://docs.kernel.org/accounting/psi.html). A kernel with psi=0, or with cgroup v1, does not have them.
"""

from __future__ import annotations

import re
from typing import Final

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.config.declare import integer, option
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.values import HostError

_RESOURCES: Final = {"cpu": "the CPU", "memory": "memory"}
_SOME: Final = re.compile(r"some avg10=\d+\.\d+ avg60=(\d+\.\d+) avg300=(\d+\.\d+) ")


@dataclass(frozen=True, slots=True)
class Options:
    """Load that keeps the server awake."""

    percent: int = option(10, "share of time in which tasks wait, in percent", integer(1, 100))


def parse(text: str) -> float:
    """The lower one of the averages over one and five minutes, in percent.

    Raises:
        ValueError: the text has another format.
    """
    match = _SOME.match(text)
    if match is None:
        raise ValueError(f"has an unknown format: {text[:60]!r}")
    return min(float(match[1]), float(match[2]))


class LoadCheck:
    """Reads the pressure of each resource."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._files = ports.files

    async def poll(self, _depth: PollDepth) -> tuple[Activity, ...]:
        """One activity for each resource."""
        return tuple([self._measure(resource) for resource in _RESOURCES])

    def _measure(self, resource: str) -> Activity:
        path = f"/sys/fs/cgroup/{resource}.pressure"
        text = self._files.read_text(path)
        if text is None:
            raise NotApplicableError(f"{path} does not exist: the kernel reports no pressure (psi)")
        try:
            value = parse(text)
        except ValueError as error:
            raise HostError(f"{path} {error}; report this to powerd") from None
        threshold = self._options.percent
        text = f"tasks have waited for {_RESOURCES[resource]} for minutes"
        return Activity("load", text, value >= threshold, value, "%", threshold)


KIND: Final = CheckKind("load", Options, LoadCheck, default_on=True)
