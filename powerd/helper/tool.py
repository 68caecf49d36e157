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

from powerd.helper.child import Child
from powerd.helper.done import Done
from powerd.helper.errors import RefusalError
from powerd.helper.lane import Lane
from powerd.helper.messages.bounds import GRACE, PLACE
from powerd.model import Trouble

PLACES: Final = tuple(map(Path, ("/usr/sbin", "/sbin", "/usr/bin", "/bin")))
"""Where tools are looked for; not in PATH, which is the caller's."""
OUTPUT_CAP: Final = 64 * 1024
"""Bytes of each output; a tool that writes more gets an error for it (EPERM)."""
AT_ONCE: Final = 32
"""Disks at which tools run at the same time; others wait for a place."""
_ENVIRONMENT: Final = {"LC_ALL": "C", "PATH": ":".join(map(str, PLACES))}
_SHORT: Final = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_REMEDY: Final = {"hdparm": "apt-get install hdparm", "smartctl": "apt-get install smartmontools"}


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
            raise RefusalError(
                f"{name} is not installed; {_REMEDY.get(name, 'install it')}", Trouble.UNREACHED
            )
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
    """Starts tools.

    Args:
        tools: where they are.
        grace: seconds, as GRACE.
    """

    def __init__(self, tools: Tools, grace: float = GRACE) -> None:
        self.tools = tools
        self._grace = grace
        self._places = asyncio.Semaphore(AT_ONCE)

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Room to run tools, one after the other.

        Raises:
            RefusalError: none of the AT_ONCE places has become free.
        """
        try:
            async with asyncio.timeout(PLACE):
                await self._places.acquire()
        except TimeoutError:
            raise RefusalError(
                f"{AT_ONCE} other disks have been dealt with for {PLACE:g} s; ask again later", Trouble.BUSY
            ) from None
        try:
            yield
        finally:
            self._places.release()

    async def run(
        self, argv: Sequence[str], seconds: float, lane: Lane, extra: Extra = _NOTHING_SPECIAL
    ) -> Done:
        """Run a tool to its end, within a turn of ``lane`` and a place.

        Args:
            argv: its name, and what it is told.
            seconds: until it is ended.
            lane: the disk's; in quarantine while the tool cannot be ended.
            extra: see there.

        Raises:
            RefusalError: it is not installed, cannot be started, or was out of time.
        """
        path = extra.path or self.tools.demand(argv[0])
        with contextlib.ExitStack() as closing:
            try:
                files = closing.enter_context(_memory(extra))
                child = Child(path, argv, files, _ENVIRONMENT)
            except OSError as error:
                raise RefusalError(_not_started(path, error), Trouble.UNREACHED) from None
            try:
                ended = await child.ended_within(seconds) or await child.end(self._grace)
            finally:
                child.leave_to(lane)
            if not ended or child.out_of_time:
                raise RefusalError(_late(argv, seconds, child, ended=ended), Trouble.HUNG)
            return Done(child.status, *map(_text, files[1:]))


def _not_started(path: Path, error: OSError) -> str:
    remedy = "ask again later" if error.errno in _SHORT else "install it anew"
    return f"{path} cannot be started: {error.strerror or error}; {remedy}"


def _late(argv: Sequence[str], seconds: float, child: Child, *, ended: bool) -> str:
    what = f"{' '.join(argv)} did not answer within {seconds:g} s"
    if ended:
        return f"{what} and was ended; see dmesg"
    return f"{what} and cannot be ended (process {child.pid}), so its disk is left alone; see dmesg"


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
