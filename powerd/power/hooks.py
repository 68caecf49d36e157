"""Runs the user's commands ([hooks]) with a time limit, one at a time; a failure is never fatal."""

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
    """Runs hooks.

    Args:
        processes: the port.
        on_error: called with one sentence for each hook that failed.
    """

    def __init__(self, processes: Processes, on_error: Callable[[str], None]) -> None:
        self._processes = processes
        self._on_error = on_error
        self._lock = asyncio.Lock()

    async def run(self, options: Options, name: HookName, value: str) -> None:
        """Run the hook, if it is configured.

        Args:
            options: the commands and their time limit.
            name: the hook.
            value: the value of its environment variable: before a sleep POWERD_WHAT=``sleep``, ``shutdown``
                or ``command``; after it POWERD_CAUSE=the cause of the wake-up, "" = the server did not sleep.
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
        """Run a command after the previous ones have ended, and report a failure.

        Args:
            argv: the command.
            name: the hook's name in messages.
            seconds: the time limit.
            stdin: the command's input; None = nothing.
            env: variables added to the environment.
        """
        try:
            async with self._lock:
                result = await self._processes.run(argv, timeout=seconds, stdin=stdin, env=env)
        except HostError as error:
            self._on_error(f"{name}: {error}")
            return
        if result.status:
            self._on_error(f"{name}: {argv[0]} {result.describe()}")
