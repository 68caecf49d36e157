"""The report on one disk that users see, and the remarks on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.config.disk_options import SHORT_SPIN_DOWN_AFTER
from powerd.config.values import format_duration
from powerd.core.time import Reading
from powerd.disks.model import APM_WITHOUT_STANDBY, Disk
from powerd.disks.policy.context import DiskContext, NextAction
from powerd.disks.policy.limits import EARLY_SPIN_UP_WITHIN, EARLY_SPIN_UPS_PER_BACKOFF, moment_at
from powerd.disks.state import DiskReport, DiskState

_PASSTHROUGH: Final = (
    "was started by a command that is not I/O, such as smartctl without --nocheck=standby; powerd check "
    "names programs that send such commands"
)

_EPC: Final = (
    "has power conditions of its own (EPC), so it may stop sooner than configured; "
    "openSeaChest_PowerControl --showEPCSettings shows their timers"
)
_TIMER_AND_EPC: Final = (
    'has power conditions of its own (EPC), which may overrule its timer; set method = "both", and see '
    "openSeaChest_PowerControl --showEPCSettings"
)
_JOURNAL: Final = (
    "holds the journal, and each of its lines starts the disk: Storage=volatile (journald.conf(5)) keeps it "
    "in memory"
)
_SWAPPING: Final = "holds swap space in use, so swapping starts the disk: move it to an SSD or zram"
_SWAP: Final = (
    "has swap space on it; while that is in use (swapon --show), swapping starts the disk: move it to an SSD "
    "or zram"
)


def build_report(context: DiskContext, next_action: NextAction) -> DiskReport:
    """What every user interface shows of one disk."""
    memory, features = context.memory, context.memory.settings.features
    state, since = DiskState.EXCLUDED if next_action.unmanaged else memory.state, memory.since
    if next_action.unknown_since is not None:
        state, since = DiskState.UNKNOWN, moment_at(context.now, next_action.unknown_since)
    return DiskReport(  # by position: 0.4 us; by name: 1.0 us, for each of up to a thousand disks
        context.disk,
        state,
        since,
        context.configured.method,
        context.spin_down_after,
        context.idle_since,
        next_action.spin_down_at,
        next_action.reason,
        len(memory.cycles.spin_ups),
        len(memory.cycles.spin_downs),
        memory.spin_down.verified_method,
        memory.settings.standby_timer,
        context.disk.apm if features is None else features.apm,
        memory.cycles.last_spin_up,
    )


def remarks(context: DiskContext, report: DiskReport) -> list[str]:
    """What a person should know about the disk, one clause each; none of it blocks a sleep."""
    if report.state is DiskState.EXCLUDED:
        return []
    disk, memory, configured = context.disk, context.memory, context.configured
    texts = [report.reason] if report.reason else []
    spin_down_after, features = configured.spin_down_after, memory.settings.features
    if memory.cycles.backoff_level and spin_down_after:
        texts.append(
            f"was used {EARLY_SPIN_UPS_PER_BACKOFF} times within {format_duration(EARLY_SPIN_UP_WITHIN)} of "
            f"a spin-down, so it spins down after {format_duration(context.spin_down_after)} instead of "
            f"{format_duration(spin_down_after)}"
        )
    if 0 < spin_down_after < SHORT_SPIN_DOWN_AFTER:
        texts.append(
            f"spin_down_after is shorter than {format_duration(SHORT_SPIN_DOWN_AFTER)}: its starts take "
            "more energy than the standby saves"
        )
    if features is not None and features.epc_enabled:
        texts.append(_TIMER_AND_EPC if configured.method == "timer" else _EPC)
    if spin_down_after and (disk.mounts or disk.holds_journal or disk.swap_in_use):
        texts += _spin_up_causes(disk)
    started_at = memory.last_passthrough_at
    if started_at is not None and memory.state is DiskState.ACTIVE:
        used = isinstance(context.reading, Reading) and context.reading.value.last_io_at >= started_at
        texts += [] if used else [_PASSTHROUGH]
    level, wanted = report.apm, configured.apm
    if level != wanted and (wanted is not None or (level or APM_WITHOUT_STANDBY) < APM_WITHOUT_STANDBY):
        texts += _apm_remarks(context, level)
    return texts


def _spin_up_causes(disk: Disk) -> Iterator[str]:
    """What starts the disk soon after each spin-down."""
    if disk.holds_journal:
        yield _JOURNAL
    if disk.swap_in_use:
        yield _SWAPPING
    elif any(mount.fs_type == "swap" for mount in disk.mounts):
        yield _SWAP


def _apm_remarks(context: DiskContext, level: int | None) -> Iterator[str]:
    """An APM level that cannot be set, and one at which the drive may spin down although no rule sets it."""
    settings, wanted = context.memory.settings, context.configured.apm
    if wanted is not None and settings.features is not None:
        if not settings.features.apm_supported:
            yield f"has no APM, so its level cannot be set to {wanted}; remove apm from its rule"
        elif settings.requested_apm == wanted:
            yield f"its APM level cannot be set to {wanted}: {settings.error}"
    if level is not None and level < APM_WITHOUT_STANDBY:
        cause = "which no rule sets" if wanted is None else f"not at {wanted} as its rule says"
        remedy = "set apm = 254 in a [[disks.rule]]" if wanted is None else 'mode = "enforce" sets it'
        remedy = f"; {remedy}" if wanted is None or not context.enforcing else ""
        limit = APM_WITHOUT_STANDBY
        yield f"is at APM level {level}, {cause}: below {limit} it may spin down by itself{remedy}"
