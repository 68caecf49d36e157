"""Client of the privileged helper: one connection per request.

Files are watched by a second helper with a socket of its own (powerd/helper/file_watch.py).

Where no service manager starts the helper (root, in a checkout), the daemon starts one as a child at the
first request. It exits after 30 s without a client, like the one of powerd-helper.socket, so it does not
outlive a daemon that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, cast

from powerd.attribution.model import FileReading, TraceReading
from powerd.disks.model import DiskAction, DiskId, FailureCause, GroupSpinUp
from powerd.helper.protocol.codec import MAX_RESPONSE, ProtocolError, encode_request, parse_response
from powerd.helper.protocol.messages import (
    REQUEST_NAMES,
    REQUESTS,
    AlarmResponse,
    ArmCard,
    AwaitFirstAccess,
    ClearAlarm,
    ReadAlarm,
    ReadCard,
    ReadFiles,
    ReadTrace,
    Refused,
    Request,
    Response,
    SetAlarm,
    StopTrace,
    deadline_of,
)
from powerd.linux.values import HostError, RefusedByHelperError
from powerd.power.model import NetworkCard
from powerd.smart.actions import DiskResult

HELPER_SOCKET: Final = Path("/run/powerd-helper.sock")
"""Where the helper listens. Not below /run/powerd, which is the daemon's own and goes when it stops."""
FILES_SOCKET: Final = Path("/run/powerd-files.sock")
"""Where the helper that watches files listens."""
_START_MARGIN: Final = 15.0
"""Seconds added to the deadline of a request: a small computer that is busy starts the helper in ten."""
_CONNECT_RETRY: Final = 0.01
"""Seconds until the next attempt while the queue of the helper's socket is full."""


class HelperClient:
    """The helper's requests as methods; powerd/helper/protocol/messages.py describes them.

    The protocol fixes the class of each response, and send_request() checks it.

    Every method raises RefusedByHelperError if the helper refuses, and HostError if there is no helper.

    Args:
        socket_path: its socket.
    """

    def __init__(self, socket_path: Path = HELPER_SOCKET) -> None:
        self.socket_path = socket_path

    async def ensure_running(self) -> Path:
        """The socket that the helper listens on."""
        return self.socket_path

    def close(self) -> None:
        """Close what is open between requests: nothing."""

    async def send(self, request: Request) -> Any:  # noqa: ANN401 - as send_request()
        """Have the helper execute ``request``; see send_request()."""
        return await send_request(request, await self.ensure_running())

    async def read_alarm(self) -> AlarmResponse:
        """Read the time and the alarm of the RTC."""
        return cast("AlarmResponse", await self.send(ReadAlarm()))

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> AlarmResponse:
        """Wake the machine in ``in_seconds``; ``replaces`` is powerd's own alarm, if one is set."""
        return cast("AlarmResponse", await self.send(SetAlarm(in_seconds, replaces)))

    async def clear_alarm(self, at: int) -> AlarmResponse:
        """Clear the alarm that is set to exactly ``at``."""
        return cast("AlarmResponse", await self.send(ClearAlarm(at)))

    async def read_card(self, interface: str) -> NetworkCard:
        """Read how a network card can wake the machine, and how it will."""
        return cast("NetworkCard", await self.send(ReadCard(interface)))

    async def arm_card(self, interface: str) -> NetworkCard:
        """Let a magic packet wake the machine; the state afterwards."""
        return cast("NetworkCard", await self.send(ArmCard(interface)))

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        """Execute an action on one disk."""
        return cast("DiskResult", await self.send(cast("Request", action)))

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> GroupSpinUp:
        """Watch disks in standby; when one is accessed, spin the others up. Cancelling ends the watch."""
        return cast("GroupSpinUp", await self.send(AwaitFirstAccess(disks)))

    async def read_files(self, disks: tuple[DiskId, ...], standby: tuple[DiskId, ...] = ()) -> FileReading:
        """Return the accesses to files since the last call, and watch the disks from now on."""
        return cast("FileReading", await send_request(ReadFiles(disks, standby), FILES_SOCKET))

    async def read_trace(self, disks: tuple[DiskId, ...]) -> TraceReading:
        """What was recorded of accesses to disks; from now on, ``disks`` are traced."""
        return cast("TraceReading", await self.send(ReadTrace(disks)))

    async def stop_trace(self) -> TraceReading:
        """Stop tracing."""
        return cast("TraceReading", await self.send(StopTrace()))


async def send_request(request: Request, socket_path: Path = HELPER_SOCKET) -> Any:  # noqa: ANN401 - see Returns
    """Have the helper execute ``request``.

    Args:
        request: AwaitFirstAccess has no deadline; its watch ends when this is cancelled.
        socket_path: the helper's socket.

    Returns:
        An object of the class that the protocol has for the response.

    Raises:
        RefusedByHelperError: the helper refuses, or ``request`` is outside of its vocabulary.
        HostError: there is no helper, or it does not respond within the deadline of the request.
    """
    response = await _exchange(request, socket_path)
    if isinstance(response, Refused):
        raise RefusedByHelperError(response.message, response.cause, response.commands)
    if not isinstance(response, REQUESTS[REQUEST_NAMES[type(request)]].response):
        raise HostError(
            f"the helper on {socket_path} sends an unexpected response; restart it: "
            f"systemctl stop {_unit_of(request)}"
        )
    return response


def _timeout_of(request: Request) -> float | None:
    """Seconds to wait for the response; None = no limit."""
    deadline = deadline_of(request)
    return None if deadline is None else _START_MARGIN + deadline


def _unit_of(request: Request) -> str:
    """The name of the units that execute a request."""
    return "powerd-files" if isinstance(request, ReadFiles) else "powerd-helper"


async def _exchange(request: Request, socket_path: Path) -> Response:
    try:
        line = encode_request(request)
    except ProtocolError as error:
        raise RefusedByHelperError(f"not a request to the helper: {error}", FailureCause.FAILED) from None
    timeout, unit = _timeout_of(request), _unit_of(request)
    try:
        async with asyncio.timeout(timeout):
            return parse_response(await _round_trip(line, socket_path))
    except (FileNotFoundError, ConnectionRefusedError):
        raise HostError(
            f"no helper listens on {socket_path}; start it: systemctl enable --now {unit}.socket"
        ) from None
    except PermissionError:
        raise HostError(
            f"cannot open {socket_path}: permission denied; run powerd as its service or as root"
        ) from None
    except TimeoutError:
        raise HostError(
            f"the helper on {socket_path} did not respond within {timeout:g} s; see journalctl -u {unit}"
        ) from None
    except (OSError, ProtocolError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise HostError(
            f"the helper on {socket_path} sent no valid response ({reason}); see journalctl -u {unit}"
        ) from None


async def _connect(connection: socket.socket, socket_path: Path) -> None:
    """Connect; if the queue of the helper's socket is full (unix(7), EAGAIN), wait for a place."""
    while True:
        try:
            return connection.connect(str(socket_path))
        except BlockingIOError:
            await asyncio.sleep(_CONNECT_RETRY)


async def _round_trip(request: bytes, socket_path: Path) -> bytes:
    """The line of the response; it may arrive before the whole request is sent."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(0)
        await _connect(connection, socket_path)
        with contextlib.suppress(BrokenPipeError):
            await loop.sock_sendall(connection, request)
        line = b""
        while not line.endswith(b"\n") and len(line) < MAX_RESPONSE:
            chunk = await loop.sock_recv(connection, MAX_RESPONSE - len(line))
            if not chunk:
                break
            line += chunk
        return line


_IDLE_SECONDS: Final = "30"
_START_TIMEOUT: Final = 10.0
"""Seconds until the helper listens: Python starts slowly on a machine that is booting."""
_POLL_INTERVAL: Final = 0.05
_EXIT_TIMEOUT: Final = 2.0
"""Seconds until the helper exits; a hung device delays it."""


def helper_for(daemon_socket: Path) -> HelperClient:
    """The client of the system's helper; if there is none and the daemon is root, of one that it starts.

    Args:
        daemon_socket: the daemon's socket; the helper's is in the same directory.
    """
    if HELPER_SOCKET.exists() or os.geteuid() != 0:
        return HelperClient()
    return SpawnedHelper(daemon_socket.with_name("helper.sock"))


class SpawnedHelper(HelperClient):
    """Starts a helper as a child process when a request is made, and another one to watch files.

    Args:
        socket_path: the socket that it listens on; that of the other one is in the same directory.
        options: further options of its command line.
    """

    def __init__(self, socket_path: Path, *options: str) -> None:
        super().__init__(socket_path)
        self._options = options
        self._files: SpawnedHelper | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._start_lock = asyncio.Lock()

    async def ensure_running(self) -> Path:
        """The socket that the helper listens on, once it listens.

        Raises:
            HostError: the helper does not start.
        """
        async with self._start_lock:
            if self._child is None or self._child.poll() is not None:
                await self._start()
        return self.socket_path

    async def _start(self) -> None:
        child = self._child = self._spawn()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_TIMEOUT):
                while not self.socket_path.exists() and child.poll() is None:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(_POLL_INTERVAL)
                await asyncio.sleep(_POLL_INTERVAL)  # a bound socket may not listen yet
        if not self.socket_path.exists():
            self.close()
            raise HostError(f"the helper does not start: {' '.join(self._argv())}; run that to see why")

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.socket_path.unlink(missing_ok=True)  # left by a helper that was killed
        # A session of its own: Ctrl-C must not end it before the daemon has cleared its alarm.
        return subprocess.Popen(self._argv(), stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - ours

    def _argv(self) -> tuple[str, ...]:
        return (
            sys.executable,
            "-m",
            "powerd.helper",
            "--socket",
            str(self.socket_path),
            "--idle",
            _IDLE_SECONDS,
            *self._options,
        )

    async def read_files(self, disks: tuple[DiskId, ...], standby: tuple[DiskId, ...] = ()) -> FileReading:
        """As HelperClient.read_files()."""
        if self._files is None:
            self._files = SpawnedHelper(self.socket_path.with_name("files.sock"), "--files")
        return cast("FileReading", await self._files.send(ReadFiles(disks, standby)))

    def close(self) -> None:
        """Stop the helpers."""
        if self._files is not None:
            self._files.close()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_EXIT_TIMEOUT)
