"""The source "activity": polls all configured checks side by side, each with a deadline.

It has the interval of the clients, so that the CPU wakes up once for both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from powerd.activity.check import Check, CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import ACTIVITY, Activity, ActivityFacts, CheckId, CheckResult, CheckState
from powerd.activity.registry import find_kind
from powerd.config.activity_options import ConfiguredCheck
from powerd.config.options import Options
from powerd.core.poller import PollDepth, poll_timeout
from powerd.core.reasons import failure_text
from powerd.core.state import PollResult
from powerd.core.time import Reading
from powerd.linux.values import HostError

_DEADLINE: Final = 0.4
"""Share of the timeout of a poll that one check may take: two polls with a hanging check fit into it."""
_RETRY_PAUSES: Final = (0.0, 120.0, 240.0, 480.0, 900.0)
"""Seconds after the first failure of a check that is polled near a sleep, after the second in a row, and so
on; an attempt may make a server write to its log, which wakes a disk."""


class _Runner:
    """One configured check: its instance, its last result, and its running poll."""

    def __init__(self, configured: ConfiguredCheck, kind: CheckKind, ports: CheckPorts) -> None:
        self.configured = configured
        self.result: CheckResult | None = None
        self._task: asyncio.Task[CheckResult] | None = None
        self._kind = kind
        self._ports = ports
        self._check: Check | None = None
        self._has_measured = False
        self._failures = 0

    def start(self, depth: PollDepth, *, ignores_errors: bool) -> asyncio.Task[CheckResult] | None:
        """Start a poll; None = none is due, or the cancelled last one has not ended."""
        if self._task is not None and not self._task.done():
            return None
        if depth is PollDepth.ROUTINE and not self._is_due(ignores_errors=ignores_errors):
            self.result = self.result or self._new_result(CheckState.DEFERRED)
            return None
        self._task = asyncio.get_running_loop().create_task(self._poll(depth))
        return self._task

    def finish(self, task: asyncio.Task[CheckResult], deadline: float) -> None:
        """Note the result of a poll; cancel it if it has exceeded ``deadline``, seconds.

        A failure leaves the known times to wake up for as they are.
        """
        if not task.done():
            task.cancel()
            result = self._new_result(CheckState.FAILED, f"no answer within {deadline:g} s", deadline)
        elif task.cancelled():
            result = self._new_result(CheckState.FAILED, "interrupted")  # the check cancelled itself
        else:
            result = task.result()
        if result.state is CheckState.FAILED and self.result is not None:
            known = [
                replace(each, keeps_awake=False)
                for each in self.result.activities
                if each.wake_at is not None
            ]
            result = replace(result, activities=tuple(known))
        self.result = result
        self._failures = self._failures + 1 if result.state is CheckState.FAILED else 0

    def _is_due(self, *, ignores_errors: bool) -> bool:
        """Whether the check is polled in every round.

        A missing interface is looked for again before a sleep. What keeps the server awake is polled, so that
        its end is noticed; what fails, after growing pauses.
        """
        result = self.result
        if result is None:
            return not self._kind.near_sleep_only
        if result.state is CheckState.NOT_APPLICABLE:
            return False
        if not self._kind.near_sleep_only or result.keeps_awake:
            return True
        if result.state is not CheckState.FAILED or ignores_errors:
            return False
        pause = _RETRY_PAUSES[min(self._failures, len(_RETRY_PAUSES)) - 1]
        return self._ports.clock.now().mono - result.at >= pause

    async def _poll(self, depth: PollDepth) -> CheckResult:
        clock = self._ports.clock
        at, state, reason = clock.now().mono, CheckState.FAILED, ""
        activities: tuple[Activity, ...] = ()
        try:
            if self._check is None:
                self._check = self._kind.new(self.configured.options, self._ports)
            activities = await self._check.poll(depth)
            state, self._has_measured = CheckState.MEASURED, True
        except NotApplicableError as error:
            reason = str(error)
            if not self._has_measured:
                state = CheckState.NOT_APPLICABLE
        except HostError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a check may fail; its failure keeps the server awake
            reason = failure_text(error)
        return CheckResult(at, state, activities, reason, clock.now().mono - at)

    def _new_result(self, state: CheckState, reason: str = "", took: float = 0.0) -> CheckResult:
        return CheckResult(self._ports.clock.now().mono, state, reason=reason, took=took)


class ActivitySource:
    """The source "activity".

    Args:
        ports: for the checks.
        options: returns the configuration in force.
        kind_of: returns the check of a name.
    """

    name = ACTIVITY

    def __init__(
        self,
        ports: CheckPorts,
        options: Callable[[], Options],
        kind_of: Callable[[str], CheckKind] = find_kind,
    ) -> None:
        self._ports = ports
        self._options = options
        self._kind_of = kind_of
        self._runners: dict[CheckId, _Runner] = {}

    @property
    def poll_interval(self) -> float:
        """That of the clients."""
        return self._options().clients.every

    async def poll(self, depth: PollDepth) -> PollResult:
        """Poll the checks that are due; a check whose options have changed starts again."""
        at = self._ports.clock.now().mono
        options = self._options().activity
        self._runners = {each.id: self._runner(each) for each in options.enabled_checks}
        tasks: dict[_Runner, asyncio.Task[CheckResult]] = {}
        for runner in self._runners.values():
            ignores_errors = options.error_policy(runner.configured) == "ignore"
            if (task := runner.start(depth, ignores_errors=ignores_errors)) is not None:
                tasks[runner] = task
        deadline = _DEADLINE * poll_timeout(self.poll_interval)
        try:
            if tasks:
                await asyncio.wait(tasks.values(), timeout=deadline)
        finally:
            for runner, task in tasks.items():
                runner.finish(task, deadline)
        results = {id_: runner.result for id_, runner in self._runners.items() if runner.result is not None}
        return PollResult(Reading(at, ()), (ActivityFacts(results),))

    def _runner(self, configured: ConfiguredCheck) -> _Runner:
        runner = self._runners.get(configured.id)
        if runner is not None and runner.configured == configured:
            return runner
        return _Runner(configured, self._kind_of(configured.kind), self._ports)
