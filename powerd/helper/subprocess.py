"""How a tool has ended; pure.

A child process, from its start until it is reaped, which may be long after anybody waits for it.

A pidfd tells its end, so that no thread has to wait (pidfd_open(2)); where there is none to be had, it is
looked at from time to time. Either way a child that was started is reaped.

Disk tools as child processes: no shell, no environment of ours, little output, and always an end.

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
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from powerd.disks.model import FailureCause
from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor
from powerd.helper.protocol.deadlines import KILL_GRACE, SLOT_TIMEOUT


class CompletedTool(NamedTuple):
    """How a tool ended: exit status (-N = by signal N), standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def last_error_line(self) -> str:
        """The last line of its errors, or its exit status in words where it wrote none."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self.status}"


_POLL_INTERVAL: Final = 0.05
"""Seconds between two looks at a child without a pidfd."""


class ToolProcess:
    """A started tool, in a session of its own.

    Args:
        path: the program.
        argv: its name, and what it is told.
        files: its standard input, output and error.
        environment: all that it gets of one.

    Attributes:
        timed_out: it was told to end.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self, path: Path, argv: Sequence[str], files: tuple[int, int, int], environment: Mapping[str, str]
    ) -> None:
        self.timed_out = False
        self._loop = asyncio.get_running_loop()
        self._process = subprocess.Popen(  # noqa: S603 - a tool of ours, its words checked, and no shell
            argv,
            executable=path,
            stdin=files[0],
            stdout=files[1],
            stderr=files[2],
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._pidfd: int | None = None
        try:
            self._pidfd = os.pidfd_open(self.pid)
            self._loop.add_reader(self._pidfd, self._reap)
        except OSError:  # too many open files, or no memory: but the tool has begun, and has to be reaped
            self._close_pidfd()
            self._poll()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def exit_status(self) -> int:
        """How it ended, when it has: its exit status, -N = by signal N."""
        return self._process.wait()  # reaped already

    async def exited_within(self, seconds: float) -> bool:
        """Whether it ends by then."""
        await asyncio.wait({self._exited}, timeout=seconds)
        return self._exited.done()

    async def terminate(self, grace: float) -> bool:
        """End it and all that it started; whether that worked."""
        self.timed_out = True
        for signum in (signal.SIGTERM, signal.SIGKILL):
            self._send_signal(signum)
            if await self.exited_within(grace):
                return True
        return False

    def abandon_to(self, executor: SerialExecutor) -> None:
        """If it still runs, nobody waits for it but the lane."""
        if not self._exited.done():
            self._send_signal(signal.SIGKILL)
            executor.quarantine_until(self._exited)

    def _reap(self) -> None:
        if self._process.poll() is None:
            return
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            self._close_pidfd()
        self._exited.set_result(None)

    def _poll(self) -> None:
        """Without a pidfd: whether it has ended, now and from time to time."""
        self._reap()
        if not self._exited.done():
            self._loop.call_later(_POLL_INTERVAL, self._poll)

    def _close_pidfd(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _send_signal(self, signum: signal.Signals) -> None:
        """To its whole process group, which keeps its number as long as it is not reaped."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)


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
        stdin: what it reads on standard input.
        output_cap: bytes that each output may have.
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
                f"{MAX_PARALLEL_DISKS} other disks have been dealt with for {SLOT_TIMEOUT:g} s; ask "
                "again later",
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
            executor: the disk's; in quarantine while the tool cannot be ended.
            options: see there.

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
