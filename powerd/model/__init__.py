"""The values that flow through the house; all frozen, none knows where it came from.

Facts go up (sources -> board -> Snapshot), a Decision comes down, and every face shows
the same pair. Times called ``at``, ``heard`` or ``since`` are seconds of CLOCK_MONOTONIC
unless their type says Moment.
"""

from powerd.model.clients import Client, ClientId, How, Sighting, State, Verdict
from powerd.model.decision import Decision, Memory, Phase, Plan, Reason, Snapshot, SourceId, Status
from powerd.model.orders import Action, Mode, Order, Outcome, Sleep, Warn
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
    "Blind",
    "Card",
    "Cause",
    "Client",
    "ClientId",
    "Decision",
    "How",
    "Inhibitor",
    "Keep",
    "KeepId",
    "KeyPress",
    "Leaving",
    "Memory",
    "Mode",
    "Moment",
    "Order",
    "Outcome",
    "Phase",
    "Plan",
    "Reason",
    "RefusedError",
    "Seen",
    "Sighting",
    "Sleep",
    "Snapshot",
    "SourceId",
    "State",
    "Status",
    "Timer",
    "Unrest",
    "Verdict",
    "Wake",
    "Waking",
    "Warn",
    "Woken",
]
