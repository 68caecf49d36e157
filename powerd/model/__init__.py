"""The values that flow through the house; all frozen, none knows where it came from.

Facts go up (sources -> board -> Snapshot), a Decision comes down, and every face shows
the same pair. Times called ``at``, ``heard`` or ``since`` are seconds of CLOCK_MONOTONIC
unless their type says Moment.
"""

from powerd.model.clients import Client, ClientId, How, Sighting, State, Verdict
from powerd.model.decision import Decision, Memory, Phase, Plan, Reason, Snapshot, SourceId, Status
from powerd.model.disk_states import DiskMemory, DiskReport, DiskState
from powerd.model.disks import (
    Activity,
    Answered,
    AskPower,
    Disk,
    DiskId,
    DiskOrder,
    Drive,
    Found,
    Guard,
    Mount,
    Power,
    ReadDrive,
    Roused,
    SetApm,
    SetTimer,
    SpinDown,
    Trouble,
)
from powerd.model.orders import Action, Done, Mode, Order, Outcome, Sleep, Warn
from powerd.model.power import Card, Cause, Inhibitor, KeyPress, Leaving, Timer, Unrest, Wake, Waking
from powerd.model.standing import CARDS, LOGIND, RHYTHM, TIMERS
from powerd.model.time import Blind, Moment, Seen
from powerd.model.wishes import Keep, KeepId, RefusedError, Woken

__all__ = [
    "CARDS",
    "LOGIND",
    "RHYTHM",
    "TIMERS",
    "Action",
    "Activity",
    "Answered",
    "AskPower",
    "Blind",
    "Card",
    "Cause",
    "Client",
    "ClientId",
    "Decision",
    "Disk",
    "DiskId",
    "DiskMemory",
    "DiskOrder",
    "DiskReport",
    "DiskState",
    "Done",
    "Drive",
    "Found",
    "Guard",
    "How",
    "Inhibitor",
    "Keep",
    "KeepId",
    "KeyPress",
    "Leaving",
    "Memory",
    "Mode",
    "Moment",
    "Mount",
    "Order",
    "Outcome",
    "Phase",
    "Plan",
    "Power",
    "ReadDrive",
    "Reason",
    "RefusedError",
    "Roused",
    "Seen",
    "SetApm",
    "SetTimer",
    "Sighting",
    "Sleep",
    "Snapshot",
    "SourceId",
    "SpinDown",
    "State",
    "Status",
    "Timer",
    "Trouble",
    "Unrest",
    "Verdict",
    "Wake",
    "Waking",
    "Warn",
    "Woken",
]
