"""Commands of the user's: bounded, one at a time, and never fatal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from powerd.config.options import HookOptions as Options
from powerd.linux.ports import Processes
from powerd.linux.values import HostError

HookName: TypeAlias = Literal["before_sleep", "after_wake"]
_VARIABLES: Final[Mapping[HookName, str]] = {"before_sleep": "POWERD_WHAT", "after_wake": "POWERD_CAUSE"}


class HookRunner:
    """Runs ``[hooks]``.

    Args:
        processes: the port.
        on_error: told of each hook that failed, one sentence.
    """

    def __init__(self, processes: Processes, on_error: Callable[[str], None]) -> None:
        self._processes = processes
        self._on_error = on_error
        self._lock = asyncio.Lock()

    async def run(self, options: Options, name: HookName, value: str) -> None:
        """Run one, where there is one.

        Args:
            options: which commands, and for how long they may run.
            name: which of them.
            value: what it finds in its environment: before a sleep in POWERD_WHAT ``sleep``, ``shutdown`` or
                ``command``; after it in POWERD_CAUSE what woke the server, "" = it did not sleep after all.
        """
        argv: tuple[str, ...] = getattr(options, name)
        if argv:
            await self.run_command(argv, f"hooks.{name}", options.timeout, env={_VARIABLES[name]: value})

    async def run_command(
        self,
        argv: Sequence[str],
        name: str,
        seconds: float,
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Run a command when those before it have ended, and complain where it fails.

        Args:
            argv: the command.
            name: what a complaint calls it.
            seconds: after which it is ended.
            stdin: what it reads; None = nothing.
            env: added to the environment.
        """
        try:
            async with self._lock:
                result = await self._processes.run(argv, timeout=seconds, stdin=stdin, env=env)
        except HostError as error:
            self._on_error(f"{name}: {error}")
            return
        if result.status:
            self._on_error(f"{name}: {argv[0]} {result.describe()}")
