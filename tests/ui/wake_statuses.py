"""Hand-made Status values with wake-ups of disks and accesses to them, for tests of views."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ui.disk_statuses import active, disk, disk_status, excluded, standby
from ui.statuses import HOSTILE_NAME, NOW, at

from powerd.attribution.model import Access, AttributionReport, Culprit, Wake, WatchLevel
from powerd.core.snapshot import Status
from powerd.disks.state import DiskReport

SDA, SDB = disk("sda").id, disk("sdb").id
CRON = Culprit("cron.service", "cron", 812)
JELLYFIN = Culprit("jellyfin.service", "jellyfin", 4711)
CONTAINER = Culprit("docker-0123456789abcdef.scope", "postgres", 99, "container web")
LONG_PATH = "/srv/" + "very-long-name/" * 272


def access(culprit: Culprit = CRON, path: str = "", **about: object) -> Access:
    """A certain read of sda by cron, at the level ``trace``, once a minute for an hour until now."""
    usual = Access(
        SDA,
        culprit,
        "read",
        path,
        131_073,
        NOW.mono - 3600,
        NOW.mono,
        60,
        4096,
        "certain",
        WatchLevel.TRACE,
    )
    return replace(usual, **about)  # type: ignore[arg-type]  # each caller names fields that Access has


def wake(ago: float, by: Access | None, explanation: str = "", slept_for: float | None = 3000.0) -> Wake:
    level = by.level if by else WatchLevel.COUNTERS
    return Wake(by.disk if by else SDB, at(-ago), slept_for, by, level, explanation)


def watched(report: AttributionReport, *disks: DiskReport) -> Status:
    given = disk_status(*(disks or (standby(), active())))
    return replace(given, decision=given.decision.with_parts(report))


def by_disk(wakes: Iterable[Wake]) -> AttributionReport:
    """The wake-ups of each disk, newest first, and who has used it."""
    newest_first = sorted(wakes, key=lambda each: -each.at.mono)
    names = {each.disk for each in newest_first}
    found = {name: tuple(each for each in newest_first if each.disk == name) for name in names}
    return AttributionReport(found, level=WatchLevel.TRACE, level_reason='paths need [watch] level = "files"')


def woken() -> Status:
    """cron wakes sda once an hour, others do so now and then; jellyfin keeps sdb busy."""
    hourly = [wake(3600.0 * n + 900, access(path="/var/spool/cron/crontabs")) for n in range(49)]
    photos = [wake(86_400.0 + 60 * n, access(CONTAINER, f"/srv/photos/{n}.jpg")) for n in range(3)]
    late = access(Culprit(comm="rsync", pid=7), operation="write", certainty="likely", path="/srv/backup/log")
    odd = [
        wake(7200.0, late, "written back 31 s later; joined by its inode"),
        wake(9000.0, None, "level counters: powerd-helper does not run"),
        wake(200_000.0, None, "level counters: powerd-helper does not run", None),
    ]
    busy = (
        access(JELLYFIN, "/srv/films", disk=SDB, count=180),
        access(CONTAINER, disk=SDB, operation="write", count=5, certainty="likely"),
        access(Culprit("powerd.service", "powerd", 5), disk=SDB, operation="command", count=12, own=True),
        access(count=24, last_at=NOW.mono - 900, path="/var/spool/cron/crontabs"),
        *(
            access(Culprit(f"job-{n}.service"), operation="flush", count=1, certainty="unknown")
            for n in range(6)
        ),
    )
    return watched(replace(by_disk([*hourly, *photos, *odd]), busy=busy))


def counters_only() -> Status:
    """Nothing better than counters is there, and one disk was woken."""
    reason = "powerd-helper does not run; start it with: systemctl start powerd-helper.socket"
    report = by_disk([wake(60.0, None, f"level counters: {reason}")])
    return watched(replace(report, level=WatchLevel.COUNTERS, level_reason=reason))


def hostile_wakes() -> Status:
    """Every text that a process or a user can choose is chosen badly."""
    culprits = (
        Culprit(HOSTILE_NAME, HOSTILE_NAME, 1, HOSTILE_NAME),
        Culprit("u" * 255, "c" * 64, 2**31 - 1, ""),
        Culprit("", HOSTILE_NAME, None, ""),
    )
    paths = (HOSTILE_NAME * 100, LONG_PATH, "/\u202e/\ud800\x1b[2J<b>" * 80)
    bad = [access(who, path, operation=HOSTILE_NAME) for who in culprits for path in paths]
    wakes = [wake(60.0 * n, each, HOSTILE_NAME * 3) for n, each in enumerate(bad)]
    busy = tuple(replace(each, disk=SDB) for each in bad)
    return watched(replace(by_disk(wakes), busy=busy, level_reason=HOSTILE_NAME))


WAKE_STATUSES = {
    "woken": woken(),
    "not woken": watched(AttributionReport(level=WatchLevel.FILES)),
    "counters only": counters_only(),
    "no disk": watched(
        AttributionReport(level=WatchLevel.TRACE), excluded("vda", "a virtual machine's disk")
    ),
    "evil wakes": hostile_wakes(),
}
