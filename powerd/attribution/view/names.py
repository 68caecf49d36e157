"""The names of culprits, for people; apart, because the daemon does not load the tables of a command."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "unknown"
"""The name of an unknown culprit."""
MAX_PATH: Final = 160
"""Characters of a path on the page and in the journal; Linux allows 4,095 bytes."""


def name_culprit(unit: str, owner: str, comm: str, *, own: bool) -> str:
    """``container web``, ``syncthing.service (alice)``, ``cron.service`` or ``rsync``; ``unknown``.

    The name of a scope is an id from its manager, so its owner is shown.
    """
    if own:
        return "powerd itself"
    if unit and owner and not unit.endswith(".scope"):
        return f"{unit} ({owner})"
    return owner or unit or comm or UNKNOWN
