"""Dispatches valid requests to the executor of their subsystem, and turns errors into refusals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from powerd.disks.model import FailureCause
from powerd.helper import rtc, wake_on_lan
from powerd.helper.disks import trace_recorder
from powerd.helper.disks.requests import DiskRequests
from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor
from powerd.helper.protocol.deadlines import DEVICE_DEADLINE, FILES_DEADLINE, TRACE_DEADLINE
from powerd.helper.protocol.messages import (
    MAX_SENTENCE,
    REQUEST_NAMES,
    AlarmRequest,
    CardRequest,
    DiskRequest,
    ReadFiles,
    Refused,
    Request,
    Response,
    TraceRequest,
)
from powerd.helper.subprocess import Tools

if TYPE_CHECKING:
    from powerd.helper.file_watch import FileWatch


class Dispatcher:
    """Executes requests, one at a time per subsystem; keeps no state between them.

    Args:
        root: the directory that paths start at; tests pass a tree of files. Netlink is always that of the
            machine.
        deadline: seconds for the RTC and the network cards, as DEVICE_DEADLINE; the others have limits of
            their own.
        tools: where disk tools are; None = the system's directories.
        file_watch: ReadFiles is executed by it, and nothing else; None = everything but ReadFiles is.
        allow_loops: loop devices count as disks; for tests.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        deadline: float = DEVICE_DEADLINE,
        tools: Tools | None = None,
        file_watch: FileWatch | None = None,
        *,
        allow_loops: bool = False,
    ) -> None:
        self._root = root
        self._allow_loops = allow_loops
        self._disk_requests = DiskRequests(root, tools, allow_loops=allow_loops)
        self._file_watch = file_watch
        self._file_executor = SerialExecutor("the watch on files", FILES_DEADLINE)
        self._rtc_executor = SerialExecutor("the real-time clock", deadline)
        self._card_executor = SerialExecutor("the network cards", deadline)
        self._trace_executor = SerialExecutor("the kernel's trace", TRACE_DEADLINE)

    @property
    def busy(self) -> bool:
        """A request is being executed, or a device hangs."""
        executors = (self._rtc_executor, self._card_executor, self._trace_executor, self._file_executor)
        return self._disk_requests.busy or any(executor.busy for executor in executors)

    async def dispatch(self, request: Request) -> Response:
        """Execute ``request``; never raises."""
        name = REQUEST_NAMES[type(request)]
        try:
            if self._file_watch is not None or isinstance(request, ReadFiles):
                return await self._read_files(request)
            if isinstance(request, DiskRequest):
                return await self._disk_requests.execute(request)
            executor, work = self._work_of(request)
            return await executor.call(work, name)
        except RefusalError as error:
            return refusal(str(error), error.cause, error.commands)
        except OSError as error:
            return refusal(
                f"the helper cannot access this machine: {error.strerror or error}; see dmesg",
                FailureCause.HELPER_UNAVAILABLE,
            )

    async def _read_files(self, request: Request) -> Response:
        if self._file_watch is None or not isinstance(request, ReadFiles):
            unit = "powerd-helper" if self._file_watch is not None else "powerd-files"
            raise RefusalError(
                f"this helper does not execute {REQUEST_NAMES[type(request)]}; send it to {unit}",
                FailureCause.HELPER_UNAVAILABLE,
            )
        return await self._file_executor.call(partial(self._file_watch.read, request), "read-files")

    def _work_of(
        self, request: AlarmRequest | CardRequest | TraceRequest
    ) -> tuple[SerialExecutor, Callable[[], Response]]:
        """Where a request is executed, and how."""
        if isinstance(request, CardRequest):
            ethtool = wake_on_lan.EthtoolNetlink()
            return self._card_executor, partial(wake_on_lan.execute, request, self._root, ethtool)
        if isinstance(request, TraceRequest):
            allow_loops = self._allow_loops
            work = partial(trace_recorder.execute, request, self._root, allow_loops=allow_loops)
            return self._trace_executor, work
        return self._rtc_executor, lambda: rtc.execute(request, rtc.find_rtc(self._root))


def refusal(reason: str, cause: FailureCause = FailureCause.FAILED, commands: int = 0) -> Refused:
    """A refusal whose message is one printable line of at most MAX_SENTENCE characters."""
    line = "".join(letter if letter.isprintable() else "?" for letter in reason)
    return Refused(line if len(line) <= MAX_SENTENCE else f"{line[: MAX_SENTENCE - 3]}...", cause, commands)
