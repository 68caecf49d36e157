"""systemd-timesyncd saves the time to a file on a hard disk.

Cause: it touches its clock file, so that a computer without a battery-backed clock starts with a plausible
time: at each synchronisation, which is every 34 minutes at most (``PollIntervalMaxSec=2048``), and since
version 250 every ``SaveIntervalSec=60`` besides. The file is /var/lib/systemd/timesync/clock, with
DynamicUser= (235 to 240) below /var/lib/private, and before that /var/lib/systemd/clock.

Cost: a disk write every minute, or every half an hour.

Remedy: no periodic saves, and 6 to 24 hours between two synchronisations. The clock may be wrong by a second
or two before each: a quartz drifts by 20 ppm, 1.7 s a day, until the kernel has learned its frequency. The
time is still saved at each of them and when the service stops. A computer without a battery-backed clock
that loses power starts with a time that is up to a day old, and until it is synchronised certificates of TLS
may be rejected as not yet valid.

Source: timesyncd.conf(5), systemd-timesyncd.service(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.machine import Machine, last
from powerd.doctor.model import AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "saves the time every 6 hours or more, by a drop-in of timesyncd.conf"
_UNIT: Final = "systemd-timesyncd.service"
_CLOCK_FILES: Final = (
    "/var/lib/systemd/timesync/clock",
    "/var/lib/private/systemd/timesync/clock",
    "/var/lib/systemd/clock",
)
_SAVES_PERIODICALLY: Final = 250
"""The version of systemd that introduced SaveIntervalSec=."""
_POLL: Final = "PollIntervalMinSec=6h\nPollIntervalMaxSec=24h\n"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the service is enabled and saves its clock file more often than by the fix."""
    settings = machine.config("timesyncd.conf")
    periodic = machine.systemd_version() >= _SAVES_PERIODICALLY
    interval = last(settings, "Time.SaveIntervalSec", "60s") if periodic else "infinity"
    saves = interval not in {"infinity", "0"}
    polls = not last(settings, "Time.PollIntervalMinSec").endswith(("h", "d", "w"))
    path = next((path for path in _CLOCK_FILES if machine.exists(path)), _CLOCK_FILES[0])
    disks = machine.disks_of(path)
    if not (machine.enabled(_UNIT) or machine.running(_UNIT)) or not disks or not (saves or polls):
        return
    often = f"every {interval}" if saves else "at each synchronisation, every 34 minutes or more often"
    yield Diagnosis(
        "timesyncd",
        _UNIT,
        f"It touches {path} on {', '.join(disks)} {often}.",
        "The time is synchronised and saved every 6 to 24 hours only; the clock may be wrong by a second or "
        "two before each. Without a battery-backed clock, the server starts with a time up to a day old "
        "after a power failure, until it is synchronised; do not apply it there.",
        disks=disks,
        files=(
            OwnFile(
                "/etc/systemd/timesyncd.conf.d/zz-powerd.conf",
                "[Time]\n" + ("SaveIntervalSec=infinity\n" if periodic else "") + (_POLL if polls else ""),
            ),
        ),
        commands=(restart(_UNIT),),
        accesses=AccessPattern(units=(_UNIT,), comms=("systemd-timesyn",), paths=_CLOCK_FILES),
    )
