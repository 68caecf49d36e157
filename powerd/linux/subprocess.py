"""Child processes without a shell, a thread or an unlimited wait.

asyncio's subprocesses use a thread on Python 3.11 and, depending on the version, wait until no grandchild
holds a pipe open. ChildProcess is the runner of the daemon and of the helper. ForegroundProcess is a
command that shares the terminal, the files and the process group of `powerd hold`, as one started by a
shell does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from powerd.linux.values import CommandTimeoutError, HostError, ProcessResult

OUTPUT_CAP: Final = 64 * 1024
"""Bytes kept of each output; the rest is read and discarded, so the child never blocks."""
_GRACE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL, and from SIGKILL until a child that hangs is abandoned."""
_POLL_INTERVAL: Final = 0.05
"""Seconds between two polls of a child without a pidfd."""
_CHUNK: Final = 1 << 16
_WALL: Final = ("/usr/bin/wall", "--timeout", "10")
_PIPE_CHUNKS: Final = 17  # of a pipe enlarged to 1 MiB (pipe(7)), and its end


def replace_process(argv: Sequence[str]) -> None:
    """Run a program, found by PATH, in place of this process; returns only by OSError."""
    os.execvp(argv[0], list(argv))  # noqa: S606 - the arguments are not those of a shell


async def run(
    argv: Sequence[str],
    *,
    timeout: float,  # noqa: ASYNC109 - the child's time, which ends in signals and a sentence
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> ProcessResult:
    """Run a program to its end, in a session and process group of its own.

    Its background processes are not waited for. Cancelling ends it as a timeout does, without waiting for
    its exit.

    Args:
        argv: the program, found by PATH, and its arguments.
        timeout: seconds until its process group gets SIGTERM, and SIGKILL 5 s later.
        stdin: its standard input; None = /dev/null.
        env: added to the environment, which is that of this process with ``LC_ALL=C``.

    Returns:
        Its status and the first 64 KiB of each output.

    Raises:
        CommandTimeoutError: it has timed out.
        HostError: it cannot be started.
    """
    child = _start(argv, stdin, env)
    pipes = _Pipes(child, stdin)
    try:
        if not await child.exited_within(timeout):
            await child.terminate(_GRACE)
            raise CommandTimeoutError(f"{argv[0]} was still running after {timeout:g} s and was ended")
        return ProcessResult(child.status, *pipes.outputs())
    finally:
        pipes.close()
        if not child.exited.done():
            child.send_signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(_GRACE, child.send_signal, signal.SIGKILL)


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


def _start(argv: Sequence[str], stdin: bytes | None, env: Mapping[str, str] | None) -> ChildProcess:
    if not argv:
        raise HostError("cannot run an empty command; name a program")
    try:
        return ChildProcess(
            argv,
            (subprocess.DEVNULL if stdin is None else subprocess.PIPE, subprocess.PIPE, subprocess.PIPE),
            {**os.environ, "LC_ALL": "C", **(env or {})},
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


class ChildProcess:
    """A child process, in a session and process group of its own, which is reaped whatever happens.

    A pidfd (pidfd_open(2)) signals its exit; without one, the child is polled.

    Args:
        argv: the name and the arguments of the program.
        files: its standard input, output and error: descriptors, or subprocess.PIPE and DEVNULL.
        env: its whole environment.
        executable: the path of the program; None = argv[0], found by PATH.
        cwd: its working directory; None = that of this process.

    Attributes:
        popen: the process and its pipes.
        exited: done when the process has been reaped.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        files: tuple[int, int, int],
        env: Mapping[str, str],
        *,
        executable: Path | None = None,
        cwd: str | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.popen = subprocess.Popen(  # noqa: S603 - an argv from the configuration or ours, and no shell
            argv,
            bufsize=0,
            executable=executable,
            stdin=files[0],
            stdout=files[1],
            stderr=files[2],
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self._pidfd: int | None = None
        try:
            self._pidfd = os.pidfd_open(self.pid)
            self._loop.add_reader(self._pidfd, self._reap)
        except OSError:  # too many open files, or no memory; the child runs, and must be reaped
            self._close_pidfd()
            self._poll()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    @property
    def status(self) -> int:
        """Its exit status after its exit; -N = signal N."""
        return self.popen.wait()  # reaped already

    async def exited_within(self, seconds: float) -> bool:
        """Wait up to ``seconds``; whether it has exited."""
        await asyncio.wait({self.exited}, timeout=seconds)
        return self.exited.done()

    async def terminate(self, grace: float) -> bool:
        """End its process group by SIGTERM, and by SIGKILL ``grace`` seconds later; whether it has exited."""
        for signum in (signal.SIGTERM, signal.SIGKILL):
            self.send_signal(signum)
            if await self.exited_within(grace):
                return True
        return False

    def send_signal(self, signum: signal.Signals) -> None:
        """Send a signal to its process group, unless the child has been reaped: the id may be reused then."""
        if self.popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signum)

    def _reap(self) -> None:
        if self.popen.poll() is None:
            return
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            self._close_pidfd()
        if not self.exited.done():
            self.exited.set_result(None)

    def _poll(self) -> None:
        self._reap()
        if not self.exited.done():
            self._loop.call_later(_POLL_INTERVAL, self._poll)

    def _close_pidfd(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


class _Pipes:
    """The pipes of a child, read and written on the running loop."""

    def __init__(self, child: ChildProcess, stdin: bytes | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._popen = child.popen
        self._outputs: dict[int, bytearray] = {}
        self._pending_input = memoryview(stdin or b"")
        for pipe in (self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._outputs[pipe.fileno()] = bytearray()
                self._loop.add_reader(pipe.fileno(), self._read, pipe.fileno())
        if self._popen.stdin is not None:
            os.set_blocking(self._popen.stdin.fileno(), False)
            self._loop.add_writer(self._popen.stdin.fileno(), self._write)

    def outputs(self) -> list[str]:
        """Standard output and error after the exit of the child; what it wrote is in the pipes by then."""
        for fd in self._outputs:
            for _ in range(_PIPE_CHUNKS):  # bounded, because a grandchild may write without end
                if not self._read(fd):
                    break
        return [bytes(output).decode(errors="replace") for output in self._outputs.values()]

    def close(self) -> None:
        """Close the pipes."""
        for fd in self._outputs:
            self._loop.remove_reader(fd)
        self._stop_writing()
        for pipe in (self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()

    def _read(self, fd: int) -> bool:
        """Read a chunk; whether there may be more."""
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
        except OSError:  # the child has closed its standard input
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
