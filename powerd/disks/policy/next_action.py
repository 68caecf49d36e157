"""What is to be done with one disk now, and what it waits for."""

from __future__ import annotations

from typing import Final

from powerd.config.options import DiskSettings
from powerd.core.time import Reading
from powerd.disks.ata_standby_timer import MAX_TIMER_SECONDS, encode_timer
from powerd.disks.model import (
    APM_WITHOUT_STANDBY,
    CheckPowerMode,
    Disk,
    DiskAction,
    DiskActivity,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
)
from powerd.disks.policy.context import DiskContext, NextAction
from powerd.disks.policy.limits import (
    EVIDENCE_LIFETIME,
    NEVER,
    RECHECK_FIRST,
    RECHECK_MAX,
    RESUME_HOOKS_DELAY,
)
from powerd.disks.policy.spindown import limit_reached, plan_spin_down
from powerd.disks.state import DiskMemory, DiskState

_USB: Final = "it is on USB; with usb = true in a [[disks.rule]] it may stand by"
_JOURNAL: Final = (
    "{} holds the journal, whose lines would wake it; with Storage=volatile (journald.conf(5)), or "
    "spin_down_after in a [[disks.rule]] for it, it may stand by"
)
_SWAPPING: Final = (
    "{} holds swap space in use, which would wake it; with that on an SSD or zram, or "
    "spin_down_after in a [[disks.rule]] for it, it may stand by"
)
_RUNTIME_PM: Final = "the kernel spins it down by itself (runtime power management)"
_UNEXPECTEDLY_ACTIVE: Final = "was told to stand by, and spins; its counters are to say whether it was used"
_AWAITING_ANSWER: Final = frozenset({DiskState.SPINNING_DOWN, DiskState.UNRESPONSIVE})
"""States that only an answer ends, and of one that is left alone none is asked for."""
_NO_ACTION: Final = NextAction()
_NOT_POLLED: Final = "its counters have not been read yet"


def next_action(context: DiskContext) -> NextAction:  # noqa: PLR0911 - a ladder: each rung forbids the ones below
    """The next step of one disk."""
    memory, now, spins = context.memory, context.now, context.memory.state is DiskState.ACTIVE
    if context.unmanaged_reason is not None:
        return NextAction(context.unmanaged_reason, _remove_timer(context), unmanaged=True)
    if context.disk.runtime_pm or memory.state is DiskState.SUSPENDED:
        return NextAction(_RUNTIME_PM)
    if memory.state is DiskState.UNSUPPORTED:
        return NextAction(f"cannot be made to stand by: {memory.reason}")
    if context.action_running:
        return NextAction("an order to it is under way")
    if now.mono < memory.paused_until:
        return NextAction(_pause_reason(memory), decide_again_at=memory.paused_until)
    power_check = None if spins else _power_check(context)
    if power_check is not None:
        return power_check
    if not isinstance(context.reading, Reading):
        return NextAction(_NOT_POLLED if context.reading is None else context.reading.reason)
    if not spins:
        return _when_not_active(context, context.reading)
    descent_action = _apply_settings(context, context.reading) or plan_spin_down(context, context.reading)
    return (
        _recheck(context, context.reading, descent_action)
        if descent_action.action is None and _may_self_standby(context)
        else descent_action
    )


def find_unmanaged_reason(disk: Disk, plan: DiskSettings) -> str | None:
    """Why powerd has nothing to do with a disk; None = it has."""
    if disk.ineligible_reason is not None:
        return disk.ineligible_reason
    if disk.transport == "usb" and not plan.usb:
        return _USB
    if not (disk.holds_journal or disk.swap_in_use) or plan.set_by_rule or plan.spin_down_after == 0:
        return None
    template = _JOURNAL if disk.holds_journal else _SWAPPING
    return template.format("it" if disk.group is None else "its group")


def _remove_timer(context: DiskContext) -> SetStandbyTimer | None:
    """The end of the timer that powerd once set in a disk it now leaves alone, while that surely spins."""
    memory, reading = context.memory, context.reading
    if (
        not memory.timer_set_by_us
        or memory.timer_unsupported
        or not context.enforcing
        or context.disk.ineligible_reason is not None
    ):
        return None
    if context.action_running or context.now.mono < memory.paused_until or not isinstance(reading, Reading):
        return None
    used = reading.value.last_io_at > max(
        memory.spin_down_sent_at, memory.since.mono
    )  # while nobody asked it any more
    spins = memory.state is DiskState.ACTIVE or (memory.state in _AWAITING_ANSWER and used)
    fresh = context.now.mono - max(reading.value.last_io_at, memory.mode_confirmed_at) <= EVIDENCE_LIFETIME
    return SetStandbyTimer(context.disk.id, 0) if spins and fresh else None


def _pause_reason(memory: DiskMemory) -> str:
    if memory.state is DiskState.SPINNING_DOWN:
        return "was told to stand by, and will be asked whether it did"
    if memory.state is DiskState.UNRESPONSIVE:
        return f"does not answer, and is asked again ever later, at last every hour: {memory.reason}"
    return memory.reason


def _power_check(context: DiskContext) -> NextAction | None:
    """The question whether it spins, of one that is not believed to; None = there is none."""
    memory, state = context.memory, context.memory.state
    if not context.enforcing:
        return None
    if memory.unexpectedly_active_at > -NEVER:
        return NextAction(_UNEXPECTEDLY_ACTIVE, poll_at=context.now.mono)
    due = state is DiskState.SPINNING_DOWN or state is DiskState.UNRESPONSIVE
    due = due or (
        state is DiskState.SLEEPING and memory.power_checks == 0
    )  # is it the question that wakes it?
    if not due and not (memory.mode_confirmed_at == -NEVER and (state.is_stopped or _has_settings(context))):
        return None
    return NextAction("it is asked whether it spins", CheckPowerMode(context.disk.id))


def _has_settings(context: DiskContext) -> bool:
    """Whether there is anything to be ordered, if it is but to take away a timer that is wanted no longer."""
    return context.plan.spin_down_after > 0 or context.plan.apm is not None or context.memory.timer_set_by_us


def _may_self_standby(context: DiskContext) -> bool:
    """Whether it may stop without an order of powerd's or a timer that powerd has set.

    One that powerd does not stop may be stopped by anybody.
    """
    if not context.enforcing or context.spin_down_after == 0:
        return True
    features = context.memory.power_features
    if features is None or not (
        features.epc_enabled or (features.apm is not None and features.apm < APM_WITHOUT_STANDBY)
    ):
        return False
    return context.plan.method == "command" or not context.memory.standby_timer


def _recheck(context: DiskContext, reading: Reading[DiskActivity], planned: NextAction) -> NextAction:
    """Asked ever more seldom; where powerd is to send it nothing, nobody knows whether it spins."""
    last_io_at, confirmed_at = reading.value.last_io_at, context.memory.mode_confirmed_at
    last = max(last_io_at, confirmed_at)
    due = last + min(max(confirmed_at - last_io_at, RECHECK_FIRST), RECHECK_MAX)
    if context.now.mono < due:
        return planned._replace(decide_again_at=min(planned.decide_again_at, due))
    if not context.enforcing or not _has_settings(context):
        return planned._replace(unknown_since=last)
    return planned._replace(action=CheckPowerMode(context.disk.id))


def _when_not_active(context: DiskContext, reading: Reading[DiskActivity]) -> NextAction:
    """One that is not known to spin; where powerd is not to ask what may have been woken, nobody knows."""
    memory = context.memory
    if memory.state is DiskState.UNKNOWN:
        return plan_spin_down(context, reading)
    if memory.mode_confirmed_at > -NEVER or not memory.state.is_stopped:
        return _NO_ACTION
    return NextAction(unknown_since=max(reading.value.last_io_at, memory.last_passthrough_at))


def _apply_settings(context: DiskContext, reading: Reading[DiskActivity]) -> NextAction | None:
    """The next of a drive's own settings, for one that surely spins; None = all are as they should be."""
    action = _next_setting(context)
    if action is None:
        return None
    resumed_at = context.memory.resumed_at
    if resumed_at is not None and context.now.mono < resumed_at + RESUME_HOOKS_DELAY:
        return NextAction(
            "its settings are made once those who make some at each wake-up have",
            decide_again_at=resumed_at + RESUME_HOOKS_DELAY,
        )
    if context.now.mono - max(reading.value.last_io_at, context.memory.mode_confirmed_at) > EVIDENCE_LIFETIME:
        action = CheckPowerMode(context.disk.id)
    return NextAction("its settings are being made", action)


def _next_setting(context: DiskContext) -> DiskAction | None:
    disk, memory, plan = context.disk, context.memory, context.plan
    if not context.enforcing or not _has_settings(context):
        return None
    if not memory.features_requested:
        return ReadPowerFeatures(disk.id)
    seconds = _wanted_timer(context)
    if seconds is not None and seconds != memory.standby_timer and not memory.timer_unsupported:
        return SetStandbyTimer(disk.id, seconds)
    if plan.apm is None or plan.apm == memory.requested_apm or memory.power_features is None:
        return None
    differs = memory.power_features.apm_supported and memory.power_features.apm != plan.apm
    return SetApmLevel(disk.id, plan.apm) if differs else None


def _wanted_timer(context: DiskContext) -> int | None:
    """Seconds that its own timer is to have; None = powerd has none to do with it."""
    if context.plan.method == "command" or context.spin_down_after == 0:
        return 0 if context.memory.timer_set_by_us else None
    too_long = (
        context.plan.method == "both" and context.spin_down_after > MAX_TIMER_SECONDS
    )  # then the command does, at the full time
    return 0 if too_long or limit_reached(context) else encode_timer(context.spin_down_after).seconds
