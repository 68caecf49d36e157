"""Child processes without a shell, without a thread, and with a bounded run time.

asyncio's subprocesses wait in a thread on Python 3.11 and, depending on the version, as long as a grandchild
keeps a pipe open. A pidfd (pidfd_open(2)) becomes readable when the child ends, and needs neither.
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
"""Bytes kept of each output; the rest is discarded, so that the child never blocks on a full pipe."""
_GRACE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL, and from SIGKILL until a hanging child is abandoned."""
_CHUNK: Final = 1 << 16
_WALL: Final = ("/usr/bin/wall", "--timeout", "10")
_PIPE_CHUNKS: Final = 17  # a pipe enlarged to 1 MiB (pipe(7)), and the end of file


async def run(
    argv: Sequence[str],
    *,
    timeout: float,  # noqa: ASYNC109 - the child's run time, not the call's
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> ProcessResult:
    """Run a program to its end, in a session and process group of its own.

    Background processes of the child are not waited for. When the call is cancelled, the child is terminated
    as after a timeout, without waiting for its end.

    Args:
        argv: the program, found by PATH, and its arguments.
        timeout: seconds until its group gets SIGTERM, and SIGKILL 5 s later.
        stdin: the child's input; None = /dev/null.
        env: variables added to the environment of this process and ``LC_ALL=C``.

    Returns:
        The exit status and the first 64 KiB of each output.

    Raises:
        HostError: the program cannot be started, or exceeded its time.
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
        raise HostError("cannot run an empty command; name a program")
    try:
        return subprocess.Popen(  # noqa: S603 - argv is the configuration's or a constant; no shell
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
    """A child, its pipes and its pidfd, on the running event loop."""

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
        """Terminate the process group; returns after 10 s at the latest, even if the child still runs."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            if await self.wait_for_exit(_GRACE):
                return

    def result(self) -> ProcessResult:
        """The result of a child that has ended; the pipes hold all of its own output by then."""
        for fd in self._outputs:
            for _ in range(_PIPE_CHUNKS):  # bounded: a grandchild may write endlessly
                if not self._read(fd):
                    break
        out, err = (bytes(output).decode(errors="replace") for output in self._outputs.values())
        return ProcessResult(self._popen.returncode, out, err)

    def close(self) -> None:
        """Close the pipes; a child that still runs is terminated, and reaped when it ends."""
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
        if self._popen.returncode is None:  # not reaped, so the process group id is not reused
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    def _read(self, fd: int) -> bool:
        """Read what is available; returns whether there may be more."""
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
        except OSError:  # the child closed its input
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
    """A child in the foreground, with the terminal, files and process group of this process.

    SIGCHLD reports its end.

    Args:
        argv: the program, found by PATH, and its arguments.
        mask: signals blocked in the child.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(self, argv: Sequence[str], mask: Iterable[int]) -> None:
        # Python ignores SIGPIPE and SIGXFSZ, and a child inherits ignored signals.
        self._pid = os.posix_spawnp(
            argv[0],
            list(argv),
            os.environ,
            setsigmask=tuple(mask),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
        self._exit_code: int | None = None

    def exit_code(self) -> int | None:
        """The exit code as in a shell, 128 + n for signal n; None = it still runs."""
        if self._exit_code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = _SIGNAL_EXIT_BASE - code if code < 0 else code
        return self._exit_code

    def send_signal(self, number: int) -> None:
        """Send a signal to the child."""
        if self._exit_code is None:
            os.kill(self._pid, number)
