"""What logind knows: who holds up a sleep, who was at a keyboard, and whether the machine can sleep at all.

logind's signals hasten a look, so its rhythm is slow (model/standing.py); a failed one is tried again soon.
"""

from __future__ import annotations

from typing import Final, Protocol

from powerd.board import PollResult
from powerd.clock import Clock
from powerd.config import Options
from powerd.model import LOGIND, POLL_INTERVALS, Inhibitor, KeyPress, Reading
from powerd.sources.runner import PollDepth

RETRY_INTERVAL: Final = 60.0
"""Seconds after a look that failed until the next."""


class LogindEyes(Protocol):
    """What has to be seen; see host/eyes.py."""

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        """Inhibitor locks of others."""
        ...

    async def can_sleep(self, action: str) -> str:
        """What logind answers to its Can... method."""
        ...

    async def last_key_press(self) -> KeyPress | None:
        """The last sign of a person in any login session."""
        ...


class LogindSource:
    """The source "logind".

    Args:
        eyes: the host.
        clock: for the time of each look.
        options: which actions are configured; may be replaced on reload.
    """

    name = LOGIND

    def __init__(self, eyes: LogindEyes, clock: Clock, options: Options) -> None:
        self._eyes = eyes
        self._clock = clock
        self._can_sleep: dict[str, str] = {}
        self._failed = False
        self.options = options

    @property
    def poll_interval(self) -> float:
        """Seconds between the starts of two looks."""
        return RETRY_INTERVAL if self._failed else POLL_INTERVALS[LOGIND]

    async def poll(self, depth: PollDepth) -> PollResult:
        """List the locks of others, the last key press, and actions that will not work.

        Raises:
            HostError: logind does not say.
        """
        del depth
        self._failed = True
        at = self._clock.now().mono
        locks = await self._eyes.list_inhibitors()
        press = await self._eyes.last_key_press()
        await self._update_can_sleep(locks)
        self._failed = False
        return PollResult(Reading(at, tuple(self._warnings())), inhibitors=locks, key_press=press)

    async def _update_can_sleep(self, locks: tuple[Inhibitor, ...]) -> None:
        """Ask of each configured action until the answer is yes: what a machine can it goes on to be able to.

        Not while somebody blocks anything, for logind then answers ``challenge`` or ``no`` to all.
        """
        if any(lock.mode.startswith("block") for lock in locks):
            return
        for action in dict.fromkeys(rule.action for rule in self.options.sleep):
            if action != "command" and self._can_sleep.get(action) != "yes":
                self._can_sleep[action] = await self._eyes.can_sleep(action)

    def _warnings(self) -> list[str]:
        return [
            f'sleep rule {n} will not work: logind answers "{answer}" for {rule.action}, '
            + ("this user may not; install the polkit rule" if answer == "challenge" else _CANNOT)
            for n, rule in enumerate(self.options.sleep, 1)
            if (answer := self._can_sleep.get(rule.action, "yes")) != "yes"
        ]


_CANNOT: Final = "this machine cannot do it; choose another action"
