"""The standing sources: what they are called, and how often they look where nothing hastens them.

What they look at tells of its changes, so the rhythm is only a net below that; policy knows by it which
word is too old.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from powerd.model.decision import SourceId

LOGIND: Final = SourceId("logind")
TIMERS: Final = SourceId("timers")
NETWORK_CARDS: Final = SourceId("cards")

POLL_INTERVALS: Final[Mapping[SourceId, float]] = MappingProxyType(
    {LOGIND: 900.0, TIMERS: 900.0, NETWORK_CARDS: 86_400.0}
)
"""Seconds between two looks."""
