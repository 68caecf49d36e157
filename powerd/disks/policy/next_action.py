"""The next action for one disk: check its power mode, write its settings, or spin it down."""

from __future__ import annotations

from typing import Final

from powerd.config.disk_options import DiskSettings
from powerd.core.time import Reading
from powerd.disks.model import (
    APM_WITHOUT_STANDBY,
    MAX_TIMER_SECONDS,
    CheckPowerMode,
    Disk,
    DiskAction,
    DiskActivity,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    encode_timer,
)
from powerd.disks.policy.context import DiskContext, NextAction
from powerd.disks.policy.limits import (
    BASELINE_WITHIN,
    EVIDENCE_LIFETIME,
    RECHECK_FIRST,
    RECHECK_MAX,
    RESUME_HOOKS_DELAY,
    is_after,
    later_of,
)
from powerd.disks.policy.spindown import limit_reached, plan_spin_down
from powerd.disks.policy.transitions import CANNOT_SPIN_DOWN
from powerd.disks.state import DiskMemory, DiskState, RestoreStandby

_USB: Final = "it is on USB; usb = true in a [[disks.rule]] lets it spin down"
_JOURNAL: Final = (
    "{} holds the journal, and each of its lines would start the disk; Storage=volatile (journald.conf(5)), "
    "or spin_down_after in a [[disks.rule]] for it, lets it spin down"
)
_SWAPPING: Final = (
    "{} holds swap space in use, and swapping would start the disk; swap space on an SSD or zram, or "
    "spin_down_after in a [[disks.rule]] for it, lets it spin down"
)
_RUNTIME_PM: Final = "the kernel spins it down by itself (runtime power management)"
_UNEXPECTEDLY_ACTIVE: Final = "spins after its spin-down; its counters will show whether it was used"
_NO_BASELINE: Final = "powerd reads its counters first, to detect an access since the resume"
_NOTHING: Final = NextAction()
_NOT_POLLED: Final = "its counters have not been read yet"


def next_action(context: DiskContext) -> NextAction:  # noqa: PLR0911 - the first rule that applies wins
    """The next action for one disk, and the reason for it or for the lack of one."""
    memory, spins = context.memory, context.memory.state is DiskState.ACTIVE
    paused = memory.paused_until is not None and context.now.mono < memory.paused_until
    if context.unmanaged_reason is not None:
        action = None if context.action_running or paused else _remove_timer(context)
        return NextAction(context.unmanaged_reason, action, unmanaged=True)
    if context.disk.runtime_pm or memory.state is DiskState.SUSPENDED:
        return NextAction(_RUNTIME_PM)
    if memory.state is DiskState.UNSUPPORTED:
        return NextAction(CANNOT_SPIN_DOWN + memory.reason)
    if context.action_running:
        return NextAction("a command to it is running")
    if paused:
        return NextAction(_pause_reason(memory), decide_again_at=memory.paused_until or context.now.mono)
    power_check = None if spins else _power_check(context)
    if power_check is not None:
        return power_check
    if not isinstance(context.reading, Reading):
        return NextAction(_NOT_POLLED if context.reading is None else context.reading.reason)
    if not spins:
        return _when_not_active(context, context.reading)
    planned = _apply_settings(context, context.reading) or plan_spin_down(context, context.reading)
    if planned.action is None and _may_self_standby(context):
        return _recheck(context, context.reading, planned)
    return planned


def find_unmanaged_reason(disk: Disk, configured: DiskSettings) -> str | None:
    """Why powerd does not manage a disk; None = it does."""
    if disk.ineligible_reason is not None:
        return disk.ineligible_reason
    if disk.transport == "usb" and not configured.usb:
        return _USB
    if (
        not (disk.holds_journal or disk.swap_in_use)
        or configured.set_by_rule
        or configured.spin_down_after == 0
    ):
        return None
    template = _JOURNAL if disk.holds_journal else _SWAPPING
    return template.format("it" if disk.group is None else "its group")


def _remove_timer(context: DiskContext) -> SetStandbyTimer | None:
    """Switches off the timer that powerd has set in a disk that it no longer manages, while that spins."""
    memory, reading, settings = context.memory, context.reading, context.memory.settings
    if not settings.timer_set_by_us or settings.timer_unsupported or not context.enforcing:
        return None
    if context.disk.ineligible_reason is not None or not isinstance(reading, Reading):
        return None
    used_at = reading.value.last_io_at
    # powerd checks no unmanaged disk, so here I/O ends the states that otherwise need an answer
    used = used_at > memory.since.mono and is_after(used_at, memory.spin_down.sent_at)
    spins = memory.state is DiskState.ACTIVE or (memory.state.needs_answer and used)
    fresh = context.now.mono - later_of(used_at, memory.mode_confirmed_at) <= EVIDENCE_LIFETIME
    return SetStandbyTimer(context.disk.id, 0) if spins and fresh else None


def _pause_reason(memory: DiskMemory) -> str:
    if memory.state is DiskState.SPINNING_DOWN:
        return "received the spin-down command; powerd will check whether it has stopped"
    if memory.state is DiskState.UNRESPONSIVE:
        return f"does not answer; powerd checks it at growing intervals of up to 1 h: {memory.reason}"
    return memory.reason


def _power_check(context: DiskContext) -> NextAction | None:
    """The power mode check of a disk that is not known to spin; None = none is due."""
    memory, state = context.memory, context.memory.state
    if not context.enforcing:
        return None
    if memory.restore is not None and _awaits_baseline(context, memory.restore):
        return NextAction(_NO_BASELINE, poll_at=context.now.mono)
    if memory.unexpectedly_active_at is not None:
        return NextAction(_UNEXPECTEDLY_ACTIVE, poll_at=context.now.mono)
    # one more check after the first report of sleep shows whether the check itself starts the drive
    due = state.needs_answer or (state is DiskState.SLEEPING and memory.power_checks == 0)
    if memory.mode_confirmed_at is None and (state.is_stopped or _has_settings(context)):
        due = True
    return NextAction("powerd checks whether it spins", CheckPowerMode(context.disk.id)) if due else None


def _awaits_baseline(context: DiskContext, restore: RestoreStandby) -> bool:
    """Whether a disk that may return to standby has not been polled since the resume.

    The power mode check waits for that: as soon as others see that the disk spins, its use counts.
    """
    resumed_at, reading = context.memory.resumed_at, context.reading
    if restore.baseline is not None or resumed_at is None:
        return False
    polled = reading is not None and reading.at >= resumed_at
    return not polled and context.now.mono < resumed_at + BASELINE_WITHIN


def _has_settings(context: DiskContext) -> bool:
    """Whether powerd has anything to command: a spin-down, an APM level, or the removal of its own timer."""
    configured = context.configured
    return (
        configured.spin_down_after > 0
        or configured.apm is not None
        or context.memory.settings.timer_set_by_us
    )


def _may_self_standby(context: DiskContext) -> bool:
    """Whether the drive may stop without a command or timer of powerd.

    A disk that powerd does not spin down may be spun down by any other program.
    """
    if not context.enforcing or context.spin_down_after == 0:
        return True
    features = context.memory.settings.features
    if features is None:
        return False
    apm_stops = features.apm is not None and features.apm < APM_WITHOUT_STANDBY
    if not features.epc_enabled and not apm_stops:
        return False
    return context.configured.method == "command" or not context.memory.settings.standby_timer


def _recheck(context: DiskContext, reading: Reading[DiskActivity], planned: NextAction) -> NextAction:
    """``planned`` with a power mode check at growing intervals.

    If powerd may not send the drive anything, it is unknown from then on whether the drive spins.
    """
    last_io_at, confirmed_at = reading.value.last_io_at, context.memory.mode_confirmed_at
    proof_at = later_of(last_io_at, confirmed_at)
    idle_at_check = 0.0 if confirmed_at is None else confirmed_at - last_io_at
    due = proof_at + min(max(idle_at_check, RECHECK_FIRST), RECHECK_MAX)
    if context.now.mono < due:
        return planned._replace(decide_again_at=min(planned.decide_again_at, due))
    if not context.enforcing or not _has_settings(context):
        return planned._replace(unknown_since=proof_at)
    return planned._replace(action=CheckPowerMode(context.disk.id))


def _when_not_active(context: DiskContext, reading: Reading[DiskActivity]) -> NextAction:
    """The next action for a disk that is not known to spin and needs no power mode check.

    If powerd may not check a drive that something may have started, it is unknown whether the drive spins.
    """
    memory = context.memory
    if memory.state is DiskState.UNKNOWN:
        return plan_spin_down(context, reading)
    if memory.mode_confirmed_at is not None or not memory.state.is_stopped:
        return _NOTHING
    return NextAction(unknown_since=later_of(reading.value.last_io_at, memory.last_passthrough_at))


def _apply_settings(context: DiskContext, reading: Reading[DiskActivity]) -> NextAction | None:
    """The next setting to write to a spinning drive; None = all are as configured."""
    action = _next_setting(context)
    if action is None:
        return None
    memory, now = context.memory, context.now.mono
    if memory.resumed_at is not None and now < memory.resumed_at + RESUME_HOOKS_DELAY:
        return NextAction(
            "powerd sets it after the resume hooks of other programs",
            decide_again_at=memory.resumed_at + RESUME_HOOKS_DELAY,
        )
    if now - later_of(reading.value.last_io_at, memory.mode_confirmed_at) > EVIDENCE_LIFETIME:
        action = CheckPowerMode(context.disk.id)
    return NextAction("powerd writes its settings", action)


def _next_setting(context: DiskContext) -> DiskAction | None:
    disk, settings, configured = context.disk, context.memory.settings, context.configured
    if not context.enforcing or not _has_settings(context):
        return None
    if not settings.features_requested:
        return ReadPowerFeatures(disk.id)
    seconds = _wanted_timer(context)
    if seconds is not None and seconds != settings.standby_timer and not settings.timer_unsupported:
        return SetStandbyTimer(disk.id, seconds)
    if configured.apm is None or configured.apm == settings.requested_apm or settings.features is None:
        return None
    differs = settings.features.apm_supported and settings.features.apm != configured.apm
    return (
        SetApmLevel(disk.id, configured.apm, allow_spin_down=configured.apm < APM_WITHOUT_STANDBY)
        if differs
        else None
    )


def _wanted_timer(context: DiskContext) -> int | None:
    """Seconds that the drive's own timer should have, 0 = off; None = powerd leaves it as it is."""
    if context.configured.method == "command" or context.spin_down_after == 0:
        return 0 if context.memory.settings.timer_set_by_us else None
    # with method "both", the command covers a time that is longer than any timer
    too_long = context.configured.method == "both" and context.spin_down_after > MAX_TIMER_SECONDS
    return 0 if too_long or limit_reached(context) else encode_timer(context.spin_down_after).seconds
