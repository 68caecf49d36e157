"""NFS clients that use files of this server.

What counts: operations of NFSv3 and NFSv4 that use a file or a directory (read, write, open, create, list,
lock and the like), more than ``floor`` a minute on the average of ``window`` and of the last minute. The
keep-alives of an idle mount (SEQUENCE, RENEW) and the renewal of attributes (GETATTR, ACCESS, LOOKUP,
FSSTAT), which a file manager or ``df`` repeats, do not count. The bytes count in the check "traffic"; this
check sees work with many small files.

The counters are those of nfsstat(8): /proc/net/rpc/nfsd (Linux, fs/nfsd/stats.c and net/sunrpc/stats.c),
world readable. ProcSubset=pid hides the subdirectories of /proc/self/net, so the unit binds the file to
/run/powerd/nfsd; if the NFS server was started for the first time after powerd, restart powerd. Which
clients have files open cannot be known without more privileges: /proc/fs/nfsd/clients is a directory of mode
0600, so even root needs CAP_DAC_READ_SEARCH to enter it, which neither powerd nor its helper has, and the
numbers of OPEN and CLOSE differ by each OPEN that fails. So a file that a client keeps open without using it
is not seen.
"""

from __future__ import annotations

from typing import Final

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.activity.rates import MIN_AVERAGING_TIME, CounterRates
from powerd.config.declare import duration, integer, option
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.values import HostError

STATISTICS: Final = ("/proc/self/net/rpc/nfsd", "/run/powerd/nfsd")
"""The second is the first, bound by powerd.service."""
_V3_USES: Final = frozenset({2, *range(5, 18), 21})
"""SETATTR, READLINK to READDIRPLUS, COMMIT (RFC 1813, section 3)."""
_V4_USES: Final = frozenset(
    {4, 5, 6, 8, 11, 12, 13, 14, 18, 19, 21, 25, 26, 27, 28, 29, 34, 38, *range(59, 63), *range(68, 76)}
)
"""Open, close, read, write, create, link, lock, remove and the like (RFC 8881, section 18), those of NFSv4.2
that move data (RFC 7862, section 15), and extended attributes (RFC 8276)."""
_V4_OPERATIONS: Final = "proc4ops"
_JITTER: Final = 5.0
"""Seconds by which polls may be closer to each other than their interval."""


@dataclass(frozen=True, slots=True)
class Options:
    """NFS clients that use files."""

    floor: int = option(20, "operations a minute, on the average of the window", integer(1, 1_000_000))
    window: float = option(180.0, "time over which they are averaged", duration(60, 3600))


def parse_uses(text: str) -> int | None:
    """The operations that use a file or directory since nfsd was loaded; None = the text has another format.

    Each line is a name, the number of counters and the counters: ``proc3 22 0 7 ...``, ``proc4ops 76 0 ...``.
    """
    uses, found = 0, False
    for line in text.splitlines():
        name, _, numbers = line.partition(" ")
        fields = numbers.split()
        counted = {"proc3": _V3_USES, _V4_OPERATIONS: _V4_USES}.get(name)
        if counted is None:
            continue
        if not fields or not all(field.isdecimal() for field in fields):
            return None
        found = True
        uses += sum(int(count) for number, count in enumerate(fields[1:]) if number in counted)
    return uses if found else None


class NfsCheck:
    """Averages the counter over the window and over the last minute."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._files = ports.files
        self._clock = ports.clock
        windows = (options.window - _JITTER, MIN_AVERAGING_TIME - _JITTER)
        self._averages = [CounterRates[str](window) for window in windows]
        self._since: float | None = None

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """The operations a minute, of all clients.

        Raises:
            NotApplicableError: the NFS server of the kernel is not loaded.
            HostError: its counters have an unknown format.
        """
        del depth
        texts = map(self._files.read_text, STATISTICS)
        statistics = next((text for text in texts if text is not None), None)
        if statistics is None:
            raise NotApplicableError(
                f"there is no {' or '.join(STATISTICS)}: the kernel's NFS server is not loaded, "
                "or was loaded after powerd had started"
            )
        uses = parse_uses(statistics)
        if uses is None:
            raise HostError(f"{STATISTICS[0]} has no counters that powerd understands; report its content")
        now = self._clock.now().mono
        for average in self._averages:
            average.update(now, {"uses": uses})
        rate = min(60 * each.rates()["uses"] for each in self._averages)
        above = rate >= self._options.floor
        self._since = (self._since or now) if above else None
        if not rate:
            return ()
        text = "clients use files over NFS"
        return (
            Activity("nfsd", text, above, round(rate, 1), "operations/min", self._options.floor, self._since),
        )


KIND: Final = CheckKind("nfs", Options, NfsCheck)
