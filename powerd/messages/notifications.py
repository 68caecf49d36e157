"""Notifications of findings: the hook ``alert``, and Apprise; neither can block or crash the daemon."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from typing import Final

from powerd.config.options import HookOptions as Options
from powerd.linux.ports import Processes
from powerd.power.hooks import HookRunner

SEND_TIMEOUT: Final = 60.0
"""Seconds that sending to all URLs may take."""
_MAX_PENDING: Final = 100
"""Findings that wait; more than 100 add no information."""
_CLOSE_TIMEOUT: Final = 5.0
"""Seconds that the daemon waits at its end for running notifications."""
_SENDER: Final = (sys.executable, "-I", "-m", "powerd.messages.apprise_child")


class Notifications:
    """Sends notifications in the background, one after the other.

    Args:
        processes: runs the hook and the sender.
        on_error: called with each failure, one sentence.
    """

    def __init__(self, processes: Processes, on_error: Callable[[str], None]) -> None:
        self._hooks = HookRunner(processes, on_error)
        self._on_error = on_error
        self._running: set[asyncio.Task[None]] = set()

    def send(self, options: Options, finding: Mapping[str, object]) -> None:
        """Notify of one finding.

        Args:
            options: the commands and URLs in force.
            finding: JSON values; ``device``, ``severity``, ``text`` and ``advice`` make the notification.
        """
        if not options.alert and not options.notify:
            return
        if len(self._running) >= _MAX_PENDING:
            self._on_error(
                f"hooks.alert: {finding.get('text')}: not sent, because {_MAX_PENDING} others are waiting"
            )
            return
        task = asyncio.get_running_loop().create_task(self._send(options, finding))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Wait a short time for running notifications."""
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSE_TIMEOUT)

    async def _send(self, options: Options, finding: Mapping[str, object]) -> None:
        if options.alert:
            document = json.dumps(finding, ensure_ascii=False).encode()
            await self._hooks.run_command(options.alert, "hooks.alert", options.timeout, stdin=document)
        if options.notify:
            notification = {
                "urls": list(options.notify),
                "title": f"{finding.get('device')}: {finding.get('severity')}",
                "body": f"{finding.get('text')}; {finding.get('advice')}",
                "severity": finding.get("severity"),
            }
            await self._hooks.run_command(
                _SENDER, "hooks.notify", SEND_TIMEOUT, stdin=json.dumps(notification).encode()
            )
