"""Findings on their way to people: the hook ``alert``, and notifications by Apprise. Neither can harm us."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from typing import Final

from powerd.config import Hooks as Options
from powerd.transit.hooks import Hands, Hooks

SENDING: Final = 60.0
"""Seconds that sending to all URLs may take."""
_MOST: Final = 100
"""Findings that wait; a house in which all drives fail at once needs no more to be noticed."""
_PATIENCE: Final = 5.0
"""Seconds that the end of the daemon waits for what is under way."""
_SENDER: Final = (sys.executable, "-I", "-m", "powerd.notify_child")


class Alerts:
    """Tells of findings in the background, one after the other.

    Args:
        hands: see there.
        complain: told of what failed, one sentence.
    """

    def __init__(self, hands: Hands, complain: Callable[[str], None]) -> None:
        self._hooks = Hooks(hands, complain)
        self._complain = complain
        self._under_way: set[asyncio.Task[None]] = set()

    def tell(self, options: Options, finding: Mapping[str, object]) -> None:
        """Tell of one finding, whoever is to hear of it.

        Args:
            options: the commands and URLs in force.
            finding: plain values that JSON has; ``device``, ``severity``, ``text`` and ``advice`` make the
                notification.
        """
        if not options.alert and not options.notify:
            return
        if len(self._under_way) >= _MOST:
            self._complain(f"hooks.alert: {finding.get('text')}: not told, as {_MOST} others wait")
            return
        task = asyncio.get_running_loop().create_task(self._tell(options, finding))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Give what is under way a little time."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_PATIENCE)

    async def _tell(self, options: Options, finding: Mapping[str, object]) -> None:
        if options.alert:
            document = json.dumps(finding, ensure_ascii=False).encode()
            await self._hooks.carry_out(options.alert, "hooks.alert", options.timeout, stdin=document)
        if options.notify:
            notice = {
                "urls": list(options.notify),
                "title": f"{finding.get('device')}: {finding.get('severity')}",
                "body": f"{finding.get('text')}; {finding.get('advice')}",
                "severity": finding.get("severity"),
            }
            await self._hooks.carry_out(_SENDER, "hooks.notify", SENDING, stdin=json.dumps(notice).encode())
