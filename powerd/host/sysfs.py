"""Reads what the kernel tells of wake-ups below /sys; what it means is said in wakeup.py."""

from __future__ import annotations

from pathlib import Path

from powerd.host.wakeup import Wakeups


def wakeups(root: Path) -> Wakeups:
    """All wakeup sources, the interrupt of the last wake-up, and where the network cards are."""
    raise NotImplementedError(root)
