"""Commands that arrive over the broker: ``keep 1h``, ``sleep``, ``wake HOST``; their texts are untrusted."""

from __future__ import annotations

import asyncio
from typing import Final

from powerd.config.values import parse_duration
from powerd.core.actions import RequestRefusedError
from powerd.core.service import Environment
from powerd.linux.mqtt import MqttMessage
from powerd.requests.service import RequestService

_MAX_COMMAND: Final = 300
_SHOWN: Final = 60
"""Characters of a command that messages show, escaped, because they are untrusted."""
_MAX_COMMANDS: Final = 8
"""Commands that may run at the same time."""
_COMMANDS: Final = (["keep"], ["sleep"], ["wake"])
_REPORT_INTERVAL: Final = 60.0
"""Seconds between two lines about messages that are ignored: a line is a disk write, and others cause it."""


class Commands:
    """Executes commands as requests of a person.

    Args:
        requests: executes them.
        environment: gets the lines about those that are ignored or refused.
    """

    def __init__(self, requests: RequestService, environment: Environment) -> None:
        self._requests = requests
        self._environment = environment
        self._reported_at = float("-inf")
        self._running: set[asyncio.Task[None]] = set()

    def start(self, message: MqttMessage) -> None:
        """Execute a command in the background; others are reported, not more often than once a minute."""
        text = message.payload[:_MAX_COMMAND].decode(errors="replace")
        words = text.split()
        if message.retained or len(self._running) >= _MAX_COMMANDS or words[:1] not in _COMMANDS:
            self._report(f"ignores the command {text[:_SHOWN]!a} on {message.topic}")
            return
        task = asyncio.ensure_future(self._execute(words))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _execute(self, words: list[str]) -> None:
        try:
            match words:
                case ["keep", duration]:
                    await self._requests.keep(parse_duration(duration), "requested over MQTT")
                case ["sleep"]:
                    await self._requests.sleep(over_clients=False)
                case ["wake", host]:
                    await self._requests.wake_host(host)
                case _:
                    self._report(f"ignores the command {' '.join(words)[:_SHOWN]!a}")
        except (RequestRefusedError, ValueError) as error:
            self._report(f"refuses the command {' '.join(words)[:_SHOWN]!a}: {error}")

    def _report(self, text: str) -> None:
        """Log a line about a message that others have sent."""
        now = self._environment.clock.now().mono
        if now - self._reported_at >= _REPORT_INTERVAL:
            self._reported_at = now
            self._environment.on_error(f"mqtt: powerd {text}")
