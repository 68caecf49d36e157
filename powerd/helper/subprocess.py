"""Runs disk tools as child processes: no shell, a fixed environment, limited output, and a time limit.

The tool of a disk that hangs may hang in the kernel, where no signal reaches it. It is then abandoned: the
executor of the disk is in quarantine until the process has exited and is reaped. A tool writes to memory
files of a fixed size, sealed against growth (memfd_create(2), fcntl(2)), so nothing has to be read while it
runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from powerd.core.dataclass import dataclass
from powerd.disks.model import FailureCause
from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor
from powerd.helper.protocol.deadlines import KILL_GRACE, SLOT_TIMEOUT
from powerd.linux.subprocess import ChildProcess


class CompletedTool(NamedTuple):
    """The exit status of a tool (-N = signal N), its standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def last_error_line(self) -> str:
        """The last line of its standard error, or a sentence with its exit status."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self.status}"


TOOL_DIRECTORIES: Final = tuple(map(Path, ("/usr/sbin", "/sbin", "/usr/bin", "/bin")))
"""Where tools are searched; PATH comes from the caller, and is not used."""
OUTPUT_CAP: Final = 64 * 1024
"""Bytes of each output; the write of a tool that exceeds it fails with EPERM."""
MAX_PARALLEL_DISKS: Final = 32
"""Disks whose tools run at the same time; others wait for a slot."""
_ENVIRONMENT: Final = {"LC_ALL": "C", "PATH": ":".join(map(str, TOOL_DIRECTORIES))}
_TRANSIENT_ERRORS: Final = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_REMEDY: Final = {"hdparm": "apt-get install hdparm", "smartctl": "apt-get install smartmontools"}


@dataclass(frozen=True, slots=True)
class Tools:
    """The directories with the tools."""

    directories: Sequence[Path] = TOOL_DIRECTORIES

    def find(self, name: str) -> Path | None:
        """The path of the program ``name``; None = it is not installed."""
        return next(
            (path for directory in self.directories if os.access(path := directory / name, os.X_OK)), None
        )

    def require(self, name: str) -> Path:
        """The path of the program ``name``.

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
    """Options of a run.

    Attributes:
        path: the program, if it is not a disk tool.
        stdin: its standard input.
        output_cap: bytes of its standard output.
    """

    path: Path | None = None
    stdin: bytes = b""
    output_cap: int = OUTPUT_CAP


_DEFAULT_OPTIONS: Final = ToolOptions()


class ToolRunner:
    """Runs tools, for a limited number of disks at the same time.

    Args:
        tools: where the tools are.
        grace: seconds, as KILL_GRACE.
    """

    def __init__(self, tools: Tools, grace: float = KILL_GRACE) -> None:
        self.tools = tools
        self._grace = grace
        self._slots = asyncio.Semaphore(MAX_PARALLEL_DISKS)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of MAX_PARALLEL_DISKS slots, in which tools run one after the other.

        Raises:
            RefusalError: no slot has become free in time.
        """
        try:
            async with asyncio.timeout(SLOT_TIMEOUT):
                await self._slots.acquire()
        except TimeoutError:
            raise RefusalError(
                f"requests about {MAX_PARALLEL_DISKS} other disks have been running for {SLOT_TIMEOUT:g} s; "
                "try again later",
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
        """Run a tool to its end; the caller holds the executor and a slot.

        Args:
            argv: its name and its arguments.
            seconds: the time until it is ended.
            executor: the executor of the disk, in quarantine while the tool cannot be ended.
            options: its input, output and path.

        Raises:
            RefusalError: it is not installed, cannot be started, or has timed out.
        """
        path = options.path or self.tools.require(argv[0])
        with contextlib.ExitStack() as stack:
            try:
                files = stack.enter_context(_memory_files(options))
                child = ChildProcess(argv, files, _ENVIRONMENT, executable=path, cwd="/")
            except OSError as error:
                raise RefusalError(_start_error_text(path, error), FailureCause.HELPER_UNAVAILABLE) from None
            try:
                in_time = await child.exited_within(seconds)
                exited = in_time or await child.terminate(self._grace)
            finally:
                if not child.exited.done():
                    child.send_signal(signal.SIGKILL)
                    executor.quarantine_until(child.exited)
            if not in_time:
                raise RefusalError(
                    _timeout_text(argv, seconds, child, exited=exited), FailureCause.UNRESPONSIVE
                )
            return CompletedTool(child.status, *map(_read_output, files[1:]))


def _start_error_text(path: Path, error: OSError) -> str:
    remedy = "try again later" if error.errno in _TRANSIENT_ERRORS else "reinstall it"
    return f"{path} cannot be started: {error.strerror or error}; {remedy}"


def _timeout_text(argv: Sequence[str], seconds: float, child: ChildProcess, *, exited: bool) -> str:
    text = f"{' '.join(argv)} did not respond within {seconds:g} s"
    if exited:
        return f"{text} and was ended; see dmesg"
    return (
        f"{text} and cannot be ended (process {child.pid}), so the disk gets no further commands; see dmesg"
    )


@contextlib.contextmanager
def _memory_files(options: ToolOptions) -> Iterator[tuple[int, int, int]]:
    """Memory files for standard input, output and error, sealed against growth."""
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
    """The text up to the offset that the tool's descriptor, which shares it, has reached."""
    return os.pread(fd, os.lseek(fd, 0, os.SEEK_CUR), 0).decode(errors="replace")
