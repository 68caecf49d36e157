"""The values that flow through the house; all frozen, none knows where it came from.

Facts go up (sources -> board -> Snapshot), a Decision comes down, and every face shows
the same pair. Times called ``at``, ``heard`` or ``since`` are seconds of CLOCK_MONOTONIC
unless their type says Moment.
"""

from powerd.model.clients import Client, ClientId, How, Sighting, State, Verdict
from powerd.model.decision import Decision, Memory, Phase, Plan, Reason, Snapshot, SourceId, Status
from powerd.model.health import (
    Attribute,
    Counter,
    Fault,
    Finding,
    Health,
    Protocol,
    Record,
    Sample,
    SelfTest,
    Severity,
)
from powerd.model.orders import Action, Mode, Order, Outcome, Sleep, Warn
from powerd.model.power import Card, Cause, Inhibitor, KeyPress, Leaving, Timer, Wake, Waking
from powerd.model.time import Blind, Moment, Seen
from powerd.model.wishes import Keep, KeepId, RefusedError, Woken

__all__ = [
    "Action",
    "Attribute",
    "Blind",
    "Card",
    "Cause",
    "Client",
    "ClientId",
    "Counter",
    "Decision",
    "Fault",
    "Finding",
    "Health",
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
    "Protocol",
    "Reason",
    "Record",
    "RefusedError",
    "Sample",
    "Seen",
    "SelfTest",
    "Severity",
    "Sighting",
    "Sleep",
    "Snapshot",
    "SourceId",
    "State",
    "Status",
    "Timer",
    "Verdict",
    "Wake",
    "Waking",
    "Warn",
    "Woken",
]
