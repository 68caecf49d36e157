"""Child processes: no shell, an end that always comes, and no thread to wait for it.

asyncio's own subprocesses wait in a thread on Python 3.11 and, depending on the version, as long as a
grandchild keeps a pipe open. A pidfd (pidfd_open(2)) is readable when the child has ended, and that is
all it takes.

A command in the foreground: with our terminal, our files and our process group, as a shell starts one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from powerd.linux.values import HostError, ProcessResult

OUTPUT_CAP: Final = 64 * 1024
"""Bytes kept of each output; the rest is read and thrown away, so that the child never blocks on it."""
_GRACE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL, and from there until a child is given up that hangs in the kernel."""
_CHUNK: Final = 1 << 16
_WALL: Final = ("/usr/bin/wall", "--timeout", "10")
_PIPE_CHUNKS: Final = 17  # of a pipe enlarged to 1 MiB (pipe(7)), and its end


async def run(
    argv: Sequence[str],
    *,
    timeout: float,  # noqa: ASYNC109 - the child's time, which ends in signals and a sentence
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> ProcessResult:
    """Run a program to its end, in a session and process group of its own.

    What it leaves running in the background is not waited for. Cancelled, it is ended like one
    that is out of time, without waiting for that.

    Args:
        argv: the program, found by PATH, and its arguments.
        timeout: seconds until its group gets SIGTERM, and SIGKILL 5 s later.
        stdin: what it reads; None = /dev/null.
        env: added to the environment, which otherwise is ours with ``LC_ALL=C``.

    Returns:
        Its status and the first 64 KiB of each output.

    Raises:
        HostError: it cannot be started, or was out of time.
    """
    process = _RunningProcess(_start(argv, stdin, env), stdin)
    try:
        if not await process.wait_for_exit(timeout):
            await process.terminate()
            raise HostError(f"{argv[0]} was still running after {timeout:g} s and was ended")
        return process.result()
    finally:
        process.close()


class HostProcesses:
    """The Processes port on this machine."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - the time that the child may take
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Run a command without a shell, as the function of this module."""
        return await run(argv, timeout=timeout, stdin=stdin, env=env)

    async def broadcast(self, text: str) -> None:
        """Write ``text`` to every terminal, by wall(1)."""
        result = await run((*_WALL, f"powerd: {text}"), timeout=15)
        if result.status:
            raise HostError(f"wall ended with status {result.status}: {result.stderr.strip()[:200]}")


def _start(
    argv: Sequence[str], stdin: bytes | None, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    if not argv:
        raise HostError("cannot run a command without words; name a program")
    try:
        return subprocess.Popen(  # noqa: S603 - an argv from the configuration or ours, and no shell
            argv,
            bufsize=0,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise HostError(
            f"cannot run {argv[0]}: there is no such program; install it or correct its path"
        ) from error
    except PermissionError as error:
        raise HostError(
            f"cannot run {argv[0]}: it is not executable for this user; see its mode bits"
        ) from error
    except (OSError, ValueError) as error:
        raise HostError(f"cannot run {argv[0]}: {error}") from error


class _RunningProcess:
    """A started child, its pipes and its pidfd on the running loop."""

    def __init__(self, popen: subprocess.Popen[bytes], stdin: bytes | None) -> None:
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[None] = self._loop.create_future()
        self._outputs: dict[int, bytearray] = {}
        self._pending_input = memoryview(stdin or b"")
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._reap)
        for pipe in (popen.stdout, popen.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._outputs[pipe.fileno()] = bytearray()
                self._loop.add_reader(pipe.fileno(), self._read, pipe.fileno())
        if popen.stdin is not None:
            os.set_blocking(popen.stdin.fileno(), False)
            self._loop.add_writer(popen.stdin.fileno(), self._write)

    async def wait_for_exit(self, seconds: float) -> bool:
        await asyncio.wait({self._exit}, timeout=seconds)
        return self._exit.done()

    async def terminate(self) -> None:
        """End the whole group; come back after 10 s at the latest, ended or not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            if await self.wait_for_exit(_GRACE):
                return

    def result(self) -> ProcessResult:
        """How it ended; all that it wrote itself is in the pipes by then."""
        for fd in self._outputs:
            for _ in range(_PIPE_CHUNKS):  # bounded: a grandchild may write for ever
                if not self._read(fd):
                    break
        out, err = (bytes(output).decode(errors="replace") for output in self._outputs.values())
        return ProcessResult(self._popen.returncode, out, err)

    def close(self) -> None:
        """Close the pipes; a child that still runs is ended and reaped later, with nobody waiting."""
        for fd in self._outputs:
            self._loop.remove_reader(fd)
        self._stop_writing()
        for pipe in (self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()
        if self._popen.returncode is None:
            self._signal(signal.SIGTERM)
            self._loop.call_later(_GRACE, self._signal, signal.SIGKILL)

    def _reap(self) -> None:
        if self._popen.poll() is None:
            return
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if not self._exit.done():
            self._exit.set_result(None)

    def _signal(self, number: signal.Signals) -> None:
        if self._popen.returncode is None:  # not reaped, so the group's number is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    def _read(self, fd: int) -> bool:
        """Take what is there; whether there may be more."""
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            self._loop.remove_reader(fd)
            return False
        output = self._outputs[fd]
        output += chunk[: OUTPUT_CAP - len(output)]
        return True

    def _write(self) -> None:
        stdin = self._popen.stdin
        try:
            written = stdin.write(self._pending_input[:_CHUNK]) if stdin else 0
        except OSError:  # it does not want to read: its right
            self._pending_input = self._pending_input[:0]
        else:
            self._pending_input = self._pending_input[written or 0 :]
        if not self._pending_input:
            self._stop_writing()

    def _stop_writing(self) -> None:
        stdin = self._popen.stdin
        if stdin is not None and not stdin.closed:
            self._loop.remove_writer(stdin.fileno())
            stdin.close()


_SIGNAL_EXIT_BASE: Final = 128


class ForegroundProcess:
    """A child process; its end is told by SIGCHLD.

    Args:
        argv: the program, found by PATH, and its arguments.
        mask: the signals that are blocked for it.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, argv: Sequence[str], mask: Iterable[int]) -> None:
        # Python itself ignores SIGPIPE and SIGXFSZ, and a child would inherit that.
        self._pid = os.posix_spawnp(
            argv[0],
            list(argv),
            os.environ,
            setsigmask=tuple(mask),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
        self._exit_code: int | None = None

    def exit_code(self) -> int | None:
        """Its exit code as a shell says it, 128 + the signal's number if by one; None = it still runs."""
        if self._exit_code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = _SIGNAL_EXIT_BASE - code if code < 0 else code
        return self._exit_code

    def send_signal(self, number: int) -> None:
        """Pass a signal on to it."""
        if self._exit_code is None:
            os.kill(self._pid, number)
