"""Asks the privileged helper: one request, one connection, one answer.

The privileged helper as a child of the daemon, where no service manager starts it: root, in a checkout.

It is started when it is first asked and leaves by itself when nobody has for a while, as the one behind
powerd-helper.socket does. So nothing runs for nothing, and none outlives even a daemon that is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, overload

from powerd.disks.disk_id import DiskId
from powerd.disks.model import DiskAction, DiskResult
from powerd.helper.protocol.codec import MAX_LINE, Refused, Request, Response, encode, parse_response
from powerd.helper.protocol.deadlines import deadline_of
from powerd.helper.protocol.fields import ProtocolError
from powerd.helper.protocol.messages import (
    AlarmRequest,
    AlarmResponse,
    ArmCard,
    AwaitFirstAccess,
    CardRequest,
    CardResponse,
    CheckHealthRequest,
    ClearAlarm,
    DriveRequest,
    DriveResponse,
    GroupSpinUpResponse,
    HealthResponse,
    PowerRequest,
    PowerResponse,
    ReadAlarm,
    ReadCard,
    SetAlarm,
    StartTestRequest,
)
from powerd.linux.values import HostError, RefusedByHelperError
from powerd.power.model import NetworkCard

HELPER_SOCKET: Final = Path("/run/powerd-helper.sock")
"""Where the helper listens. Not below /run/powerd, which is the daemon's own and goes when it stops."""
_START_MARGIN: Final = 15.0
"""Seconds besides those that the helper promises: a small computer that is busy starts it in ten."""
_CONNECT_RETRY: Final = 0.01
"""Seconds until the next try where the helper's queue is full."""


class HelperClient:
    """The helper's vocabulary as methods; see powerd/helper/protocol/codec.py for what each word promises.

    Every method raises HostError with one sentence when the helper refuses or is not there.

    Args:
        socket_path: its socket.
    """

    def __init__(self, socket_path: Path = HELPER_SOCKET) -> None:
        self.socket_path = socket_path

    async def ensure_running(self) -> Path:
        """Where it listens."""
        return self.socket_path

    def close(self) -> None:
        """Nothing is kept open between requests."""

    async def read_alarm(self) -> AlarmResponse:
        """The RTC's time and the alarm that stands."""
        return await send_request(ReadAlarm(), await self.ensure_running())

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> AlarmResponse:
        """Wake the machine in so many seconds; ``replaces`` is our own alarm, if one stands."""
        with _translate_protocol_error():
            request = SetAlarm(in_seconds, replaces)
        return await send_request(request, await self.ensure_running())

    async def clear_alarm(self, at: int) -> AlarmResponse:
        """Take away the alarm that is set to exactly ``at``."""
        with _translate_protocol_error():
            request = ClearAlarm(at)
        return await send_request(request, await self.ensure_running())

    async def read_card(self, interface: str) -> NetworkCard:
        """By what a network card can wake the machine, and by what it will."""
        with _translate_protocol_error():
            request = ReadCard(interface)
        return _card_of(await send_request(request, await self.ensure_running()))

    async def arm_card(self, interface: str) -> NetworkCard:
        """Let a magic packet wake the machine; what is so afterwards."""
        with _translate_protocol_error():
            request = ArmCard(interface)
        return _card_of(await send_request(request, await self.ensure_running()))

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        """Execute an action on one disk; DiskError when the helper refuses, or the drive does."""
        from powerd.disks import actuator  # noqa: PLC0415 - it imports this module

        return await actuator.request_disk_action(action, await self.ensure_running())

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> tuple[DiskId, tuple[DiskId, ...], float]:
        """Wait until one of the disks in standby is accessed, and spin up the others."""
        from powerd.disks import actuator  # noqa: PLC0415 - it imports this module

        return await actuator.wait_first_access(disks, await self.ensure_running())


def _card_of(answer: CardResponse) -> NetworkCard:
    return NetworkCard(answer.interface, answer.supported, answer.armed)


@contextlib.contextmanager
def _translate_protocol_error() -> Iterator[None]:
    """A request that is none of the vocabulary is never sent."""
    try:
        yield
    except ProtocolError as error:
        raise HostError(f"the helper cannot be asked that: {error}") from None


@overload
async def send_request(request: AlarmRequest, socket_path: Path = HELPER_SOCKET) -> AlarmResponse: ...
@overload
async def send_request(request: CardRequest, socket_path: Path = HELPER_SOCKET) -> CardResponse: ...
@overload
async def send_request(request: PowerRequest, socket_path: Path = HELPER_SOCKET) -> PowerResponse: ...
@overload
async def send_request(request: DriveRequest, socket_path: Path = HELPER_SOCKET) -> DriveResponse: ...
@overload
async def send_request(
    request: AwaitFirstAccess, socket_path: Path = HELPER_SOCKET
) -> GroupSpinUpResponse: ...
@overload
async def send_request(request: CheckHealthRequest, socket_path: Path = HELPER_SOCKET) -> HealthResponse: ...
@overload
async def send_request(request: StartTestRequest, socket_path: Path = HELPER_SOCKET) -> PowerResponse: ...
async def send_request(
    request: Request, socket_path: Path = HELPER_SOCKET
) -> AlarmResponse | CardResponse | PowerResponse | DriveResponse | GroupSpinUpResponse | HealthResponse:
    """What the helper answers.

    Args:
        request: any of its vocabulary. A Guard is answered when something has happened, be it in a week, and
            ends when this is cancelled.
        socket_path: the helper's socket.

    Raises:
        RefusedByHelperError: it refuses.
        HostError: it is not there, or does not answer within the time that it promises (messages/bounds.py).
    """
    answer = await _exchange(request, socket_path)
    if isinstance(answer, Refused):
        raise RefusedByHelperError(answer.why, answer.cause, answer.commands)
    if not isinstance(answer, _response_type(request)):
        raise HostError(
            f"the helper on {socket_path} answers something else; restart it: systemctl stop powerd-helper"
        )
    return answer


def _response_type(
    request: Request,
) -> type[
    AlarmResponse | CardResponse | PowerResponse | DriveResponse | GroupSpinUpResponse | HealthResponse
]:
    """What a request may be answered with besides Refused."""
    if isinstance(request, AlarmRequest):
        return AlarmResponse
    if isinstance(request, CardRequest):
        return CardResponse
    if isinstance(request, PowerRequest | StartTestRequest):
        return PowerResponse
    if isinstance(request, CheckHealthRequest):
        return HealthResponse
    return DriveResponse if isinstance(request, DriveRequest) else GroupSpinUpResponse


def _timeout_of(request: Request) -> float | None:
    """Seconds that the exchange may take; None = any time."""
    deadline = deadline_of(request)
    return None if deadline is None else _START_MARGIN + deadline


async def _exchange(request: Request, socket_path: Path) -> Response:
    timeout = _timeout_of(request)
    try:
        async with asyncio.timeout(timeout):
            line = await _round_trip(request, socket_path)
        return parse_response(line)
    except (FileNotFoundError, ConnectionRefusedError):
        raise HostError(
            f"no helper listens on {socket_path}; start it: systemctl enable --now powerd-helper.socket"
        ) from None
    except PermissionError:
        raise HostError(
            f"cannot open {socket_path}: permission denied; run powerd as its service or as root"
        ) from None
    except TimeoutError:
        raise HostError(
            f"the helper on {socket_path} did not answer within {timeout:g} s; see journalctl -u "
            "powerd-helper"
        ) from None
    except (OSError, ProtocolError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise HostError(
            f"the helper on {socket_path} gave no answer ({reason}); see journalctl -u powerd-helper"
        ) from None


async def _connect(connection: socket.socket, socket_path: Path) -> None:
    """Stand before the helper's door; where many do, wait for a place in the queue (unix(7), EAGAIN)."""
    while True:
        try:
            return connection.connect(str(socket_path))
        except BlockingIOError:
            await asyncio.sleep(_CONNECT_RETRY)


async def _round_trip(request: Request, socket_path: Path) -> bytes:
    """The line that answers; an answer that came before all was sent is one too."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(0)
        await _connect(connection, socket_path)
        with contextlib.suppress(BrokenPipeError):
            await loop.sock_sendall(connection, encode(request))
        line = b""
        while not line.endswith(b"\n") and len(line) < MAX_LINE:
            chunk = await loop.sock_recv(connection, MAX_LINE - len(line))
            if not chunk:
                break
            line += chunk
        return line


_IDLE_SECONDS: Final = "30"
_START_TIMEOUT: Final = 10.0
"""Seconds that it may take to listen: a Python, on a machine that has just been started."""
_POLL_INTERVAL: Final = 0.05
_EXIT_TIMEOUT: Final = 2.0
"""Seconds that it may take to leave; it then leaves when its device answers."""


def helper_for(daemon_socket: Path) -> HelperClient:
    """The helper that its own socket stands for, else one of our own, as far as we may start one.

    Args:
        daemon_socket: the daemon's socket, beside which there is room for another.
    """
    if HELPER_SOCKET.exists() or os.geteuid() != 0:
        return HelperClient()
    return SpawnedHelper(daemon_socket.with_name("helper.sock"))


class SpawnedHelper(HelperClient):
    """A helper that is there when it is asked.

    Args:
        socket_path: where it is to listen.
    """

    def __init__(self, socket_path: Path) -> None:
        super().__init__(socket_path)
        self._child: subprocess.Popen[bytes] | None = None
        self._start_lock = asyncio.Lock()

    async def ensure_running(self) -> Path:
        """Where it listens, once it does.

        Raises:
            HostError: it does not start.
        """
        async with self._start_lock:
            if self._child is None or self._child.poll() is not None:
                await self._start()
        return self.socket_path

    async def _start(self) -> None:
        child = self._child = self._spawn()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_TIMEOUT):
                while not self.socket_path.exists() and child.poll() is None:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(_POLL_INTERVAL)
                await asyncio.sleep(_POLL_INTERVAL)  # bound is not yet listening
        if not self.socket_path.exists():
            self.close()
            raise HostError(f"the helper does not start: {' '.join(self._argv())}; run that to see why")

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.socket_path.unlink(missing_ok=True)  # of one that was killed
        # A session of its own, lest Ctrl-C end it before the daemon has taken its alarm back.
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
        )

    def close(self) -> None:
        """End it."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_EXIT_TIMEOUT)
