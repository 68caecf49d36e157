"""Disk tools as child processes: no shell, no environment of ours, little output, and always an end.

A tool whose disk hangs may hang in the kernel, where no signal reaches it. It is then given up: the disk's
lane is in quarantine until the process has gone, and is reaped when it has. What a tool writes goes to memory
files of a fixed size, sealed against growth (memfd_create(2), fcntl(2)), so nobody has to read while it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from powerd.helper.errors import RefusalError
from powerd.helper.lane import Lane

PLACES: Final = tuple(map(Path, ("/usr/sbin", "/sbin", "/usr/bin", "/bin")))
"""Where tools are looked for; not in PATH, which is the caller's."""
OUTPUT_CAP: Final = 64 * 1024
"""Bytes of each output; a tool that writes more gets an error for it (EPERM)."""
GRACE: Final = 2.0
"""Seconds between SIGTERM and SIGKILL, and from there until a process is given up."""
AT_ONCE: Final = 32
"""Tools that run at the same time; others wait for their turn."""
_REMEDY: Final = {"hdparm": "apt-get install hdparm", "smartctl": "apt-get install smartmontools"}


class Done(NamedTuple):
    """How a tool ended: exit status (-N = by signal N), standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def last_words(self) -> str:
        """The last line of its errors, or its exit status in words where it wrote none."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self.status}"


@dataclass(frozen=True, slots=True)
class Tools:
    """The directories that tools are taken from; tests hand in one of their own."""

    places: Sequence[Path] = PLACES

    def find(self, name: str) -> Path | None:
        """The program ``name``; None = it is not installed."""
        return next((path for place in self.places if os.access(path := place / name, os.X_OK)), None)

    def demand(self, name: str) -> Path:
        """The program ``name``.

        Raises:
            RefusalError: it is not installed.
        """
        path = self.find(name)
        if path is None:
            raise RefusalError(f"{name} is not installed; {_REMEDY.get(name, 'install it')}", "unreached")
        return path


@dataclass(frozen=True, slots=True)
class Extra:
    """What few runs need.

    Attributes:
        path: the program itself, where it is no disk tool.
        given: what it reads on standard input.
        cap: bytes that each output may have.
    """

    path: Path | None = None
    given: bytes = b""
    cap: int = OUTPUT_CAP


_NOTHING_SPECIAL: Final = Extra()


class Runner:
    """Starts tools, at most AT_ONCE at a time.

    Args:
        tools: where they are.
        grace: seconds, as GRACE.
    """

    def __init__(self, tools: Tools, grace: float = GRACE) -> None:
        self.tools = tools
        self._grace = grace
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(
        self, argv: Sequence[str], seconds: float, lane: Lane, extra: Extra = _NOTHING_SPECIAL
    ) -> Done:
        """Run a tool to its end, within a turn of ``lane``.

        Args:
            argv: its name, and what it is told.
            seconds: until it is ended.
            lane: the disk's; in quarantine while the tool cannot be ended.
            extra: see there.

        Raises:
            RefusalError: it is not installed, cannot be started, or was out of time.
        """
        path = extra.path or self.tools.demand(argv[0])
        async with self._places:
            with _memory(extra) as files:
                child = _Child(path, argv, files)
                try:
                    ended = await child.ended_within(seconds) or await child.end(self._grace)
                finally:
                    child.leave_to(lane)
                if not ended or child.out_of_time:
                    raise RefusalError(_late(argv, seconds, child, ended=ended), "hung")
                return Done(child.status, *map(_text, files[1:]))


def _late(argv: Sequence[str], seconds: float, child: _Child, *, ended: bool) -> str:
    what = f"{' '.join(argv)} did not answer within {seconds:g} s"
    if ended:
        return f"{what} and was ended; see dmesg"
    return f"{what} and cannot be ended (process {child.pid}), so its disk is left alone; see dmesg"


class _Child:
    """A started tool; a pidfd tells its end, so that no thread has to wait for it (pidfd_open(2))."""

    def __init__(self, path: Path, argv: Sequence[str], files: tuple[int, int, int]) -> None:
        self.out_of_time = False
        self._loop = asyncio.get_running_loop()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a tool of ours, its words checked, and no shell
                argv,
                executable=path,
                stdin=files[0],
                stdout=files[1],
                stderr=files[2],
                cwd="/",
                env={"LC_ALL": "C", "PATH": ":".join(map(str, PLACES))},
                start_new_session=True,
            )
        except OSError as error:
            raise RefusalError(
                f"{path} cannot be started: {error.strerror or error}; install it anew", "unreached"
            ) from None
        self._exit: asyncio.Future[None] = self._loop.create_future()
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int:
        return self._process.wait()  # reaped already

    async def ended_within(self, seconds: float) -> bool:
        await asyncio.wait({self._exit}, timeout=seconds)
        return self._exit.done()

    async def end(self, grace: float) -> bool:
        """End it and all that it started; whether that worked."""
        self.out_of_time = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            if await self.ended_within(grace):
                return True
        return False

    def leave_to(self, lane: Lane) -> None:
        """If it still runs, nobody waits for it but the lane."""
        if not self._exit.done():
            self._signal(signal.SIGKILL)
            lane.give_up(self._exit)

    def _reap(self) -> None:
        if self._process.poll() is None:
            return
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._exit.set_result(None)

    def _signal(self, number: signal.Signals) -> None:
        """To its whole process group, which keeps its number as long as it is not reaped."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


@contextlib.contextmanager
def _memory(extra: Extra) -> Iterator[tuple[int, int, int]]:
    """Files in memory for what a tool is given, and for its two outputs."""
    with contextlib.ExitStack() as closing:

        def file(name: str, size: int) -> int:
            made = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            closing.callback(os.close, made)
            os.ftruncate(made, size)
            fcntl.fcntl(made, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
            return made

        given = file("in", len(extra.given))
        os.pwrite(given, extra.given, 0)
        yield given, file("out", extra.cap), file("err", OUTPUT_CAP)


def _text(file: int) -> str:
    """What was written, as far as its offset, which the tool's descriptor shares, has moved."""
    return os.pread(file, os.lseek(file, 0, os.SEEK_CUR), 0).decode(errors="replace")
