"""Disk tools as child processes: no shell, no environment of ours, little output, and always an end.

A tool whose disk hangs may hang in the kernel, where no signal reaches it. It is then given up: the disk's
lane is in quarantine until the process has gone, and is reaped when it has. What a tool writes goes to memory
files of a fixed size, sealed against growth (memfd_create(2), fcntl(2)), so nobody has to read while it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from powerd.helper.child import ToolProcess
from powerd.helper.done import CompletedTool
from powerd.helper.errors import RefusalError
from powerd.helper.lane import SerialExecutor
from powerd.helper.messages.bounds import KILL_GRACE, SLOT_TIMEOUT
from powerd.model import FailureCause

TOOL_DIRECTORIES: Final = tuple(map(Path, ("/usr/sbin", "/sbin", "/usr/bin", "/bin")))
"""Where tools are looked for; not in PATH, which is the caller's."""
OUTPUT_CAP: Final = 64 * 1024
"""Bytes of each output; a tool that writes more gets an error for it (EPERM)."""
MAX_PARALLEL_DISKS: Final = 32
"""Disks at which tools run at the same time; others wait for a place."""
_ENVIRONMENT: Final = {"LC_ALL": "C", "PATH": ":".join(map(str, TOOL_DIRECTORIES))}
_TRANSIENT_ERRORS: Final = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_REMEDY: Final = {"hdparm": "apt-get install hdparm", "smartctl": "apt-get install smartmontools"}


@dataclass(frozen=True, slots=True)
class Tools:
    """The directories that tools are taken from; tests hand in one of their own."""

    directories: Sequence[Path] = TOOL_DIRECTORIES

    def find(self, name: str) -> Path | None:
        """The program ``name``; None = it is not installed."""
        return next(
            (path for directory in self.directories if os.access(path := directory / name, os.X_OK)), None
        )

    def require(self, name: str) -> Path:
        """The program ``name``.

        Raises:
            RefusalError: it is not installed.
        """
        path = self.find(name)
        if path is None:
            raise RefusalError(
                f"{name} is not installed; {_REMEDY.get(name, 'install it')}", FailureCause.HELPER_UNAVAILABLE
            )
        return path


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """What few runs need.

    Attributes:
        path: the program itself, where it is no disk tool.
        given: what it reads on standard input.
        cap: bytes that each output may have.
    """

    path: Path | None = None
    stdin: bytes = b""
    output_cap: int = OUTPUT_CAP


_DEFAULT_OPTIONS: Final = ToolOptions()


class ToolRunner:
    """Starts tools.

    Args:
        tools: where they are.
        grace: seconds, as GRACE.
    """

    def __init__(self, tools: Tools, grace: float = KILL_GRACE) -> None:
        self.tools = tools
        self._grace = grace
        self._slots = asyncio.Semaphore(MAX_PARALLEL_DISKS)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Room to run tools, one after the other.

        Raises:
            RefusalError: none of the AT_ONCE places has become free.
        """
        try:
            async with asyncio.timeout(SLOT_TIMEOUT):
                await self._slots.acquire()
        except TimeoutError:
            raise RefusalError(
                f"{MAX_PARALLEL_DISKS} other disks have been dealt with for {SLOT_TIMEOUT:g} s; ask again later",
                FailureCause.BUSY,
            ) from None
        try:
            yield
        finally:
            self._slots.release()

    async def run(
        self,
        argv: Sequence[str],
        seconds: float,
        executor: SerialExecutor,
        options: ToolOptions = _DEFAULT_OPTIONS,
    ) -> CompletedTool:
        """Run a tool to its end, within a turn of ``lane`` and a place.

        Args:
            argv: its name, and what it is told.
            seconds: until it is ended.
            lane: the disk's; in quarantine while the tool cannot be ended.
            extra: see there.

        Raises:
            RefusalError: it is not installed, cannot be started, or was out of time.
        """
        path = options.path or self.tools.require(argv[0])
        with contextlib.ExitStack() as stack:
            try:
                files = stack.enter_context(_memory_files(options))
                child = ToolProcess(path, argv, files, _ENVIRONMENT)
            except OSError as error:
                raise RefusalError(_start_error_text(path, error), FailureCause.HELPER_UNAVAILABLE) from None
            try:
                exited = await child.exited_within(seconds) or await child.terminate(self._grace)
            finally:
                child.abandon_to(executor)
            if not exited or child.timed_out:
                raise RefusalError(
                    _timeout_text(argv, seconds, child, exited=exited), FailureCause.UNRESPONSIVE
                )
            return CompletedTool(child.exit_status, *map(_read_output, files[1:]))


def _start_error_text(path: Path, error: OSError) -> str:
    remedy = "ask again later" if error.errno in _TRANSIENT_ERRORS else "install it anew"
    return f"{path} cannot be started: {error.strerror or error}; {remedy}"


def _timeout_text(argv: Sequence[str], seconds: float, child: ToolProcess, *, exited: bool) -> str:
    text = f"{' '.join(argv)} did not answer within {seconds:g} s"
    if exited:
        return f"{text} and was ended; see dmesg"
    return f"{text} and cannot be ended (process {child.pid}), so its disk is left alone; see dmesg"


@contextlib.contextmanager
def _memory_files(options: ToolOptions) -> Iterator[tuple[int, int, int]]:
    """Files in memory for what a tool is given, and for its two outputs."""
    with contextlib.ExitStack() as stack:

        def create(name: str, size: int) -> int:
            made = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            stack.callback(os.close, made)
            os.ftruncate(made, size)
            fcntl.fcntl(made, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
            return made

        given = create("in", len(options.stdin))
        os.pwrite(given, options.stdin, 0)
        yield given, create("out", options.output_cap), create("err", OUTPUT_CAP)


def _read_output(fd: int) -> str:
    """What was written, as far as its offset, which the tool's descriptor shares, has moved."""
    return os.pread(fd, os.lseek(fd, 0, os.SEEK_CUR), 0).decode(errors="replace")
