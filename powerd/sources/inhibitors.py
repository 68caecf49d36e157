"""What logind knows: who holds up a sleep, who was at a keyboard, and whether the machine can sleep at all.

logind's signals hasten a look, so its rhythm is slow (model/standing.py); a failed one is tried again soon.
"""

from __future__ import annotations

from typing import Final, Protocol

from powerd.board import Facts
from powerd.clock import Clock
from powerd.config import Options
from powerd.model import LOGIND, RHYTHM, Inhibitor, KeyPress, Seen
from powerd.sources.runner import Extent

SOON: Final = 60.0
"""Seconds after a look that failed until the next."""


class Eyes(Protocol):
    """What has to be seen; see host/eyes.py."""

    async def inhibitors(self) -> tuple[Inhibitor, ...]:
        """Inhibitor locks of others."""
        ...

    async def able(self, action: str) -> str:
        """What logind answers to its Can... method."""
        ...

    async def key_press(self) -> KeyPress | None:
        """The last sign of a person in any login session."""
        ...


class Inhibitors:
    """The source "logind".

    Args:
        eyes: the host.
        clock: for the time of each look.
        options: which actions are configured; may be replaced on reload.
    """

    name = LOGIND

    def __init__(self, eyes: Eyes, clock: Clock, options: Options) -> None:
        self._eyes = eyes
        self._clock = clock
        self._able: dict[str, str] = {}
        self._failed = False
        self.options = options

    @property
    def every(self) -> float:
        """Seconds between the starts of two looks."""
        return SOON if self._failed else RHYTHM[LOGIND]

    async def look(self, extent: Extent) -> Facts:
        """List the locks of others, the last key press, and actions that will not work.

        Raises:
            HostError: logind does not say.
        """
        del extent
        self._failed = True
        at = self._clock.now().mono
        locks = await self._eyes.inhibitors()
        press = await self._eyes.key_press()
        await self._ask_able(locks)
        self._failed = False
        return Facts(Seen(at, tuple(self._warnings())), inhibitors=locks, key_press=press)

    async def _ask_able(self, locks: tuple[Inhibitor, ...]) -> None:
        """Ask of each configured action until the answer is yes: what a machine can it goes on to be able to.

        Not while somebody blocks anything, for logind then answers ``challenge`` or ``no`` to all.
        """
        if any(lock.mode.startswith("block") for lock in locks):
            return
        for action in dict.fromkeys(rule.action for rule in self.options.sleep):
            if action != "command" and self._able.get(action) != "yes":
                self._able[action] = await self._eyes.able(action)

    def _warnings(self) -> list[str]:
        return [
            f'sleep rule {n} will not work: logind answers "{answer}" for {rule.action}, '
            + ("this user may not; install the polkit rule" if answer == "challenge" else _CANNOT)
            for n, rule in enumerate(self.options.sleep, 1)
            if (answer := self._able.get(rule.action, "yes")) != "yes"
        ]


_CANNOT: Final = "this machine cannot do it; choose another action"
