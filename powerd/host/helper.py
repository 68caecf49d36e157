"""Asks the privileged helper: one request, one connection, one answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final, overload

from powerd import model
from powerd.helper.protocol import (
    LINE,
    Alarm,
    AlarmRequest,
    Answer,
    ArmCard,
    Card,
    CardRequest,
    CheckHealth,
    ClearAlarm,
    Drive,
    DriveHealth,
    DriveRequest,
    Guard,
    Power,
    PowerRequest,
    ProtocolError,
    ReadAlarm,
    ReadCard,
    Refused,
    Request,
    Roused,
    SetAlarm,
    StartTest,
    parse_answer,
    to_line,
    within,
)
from powerd.host.values import HostError, RefusedByHelperError

SOCKET: Final = Path("/run/powerd-helper.sock")
"""Where the helper listens. Not below /run/powerd, which is the daemon's own and goes when it stops."""
_START: Final = 15.0
"""Seconds besides those that the helper promises: a small computer that is busy starts it in ten."""
_QUEUE: Final = 0.01
"""Seconds until the next try where the helper's queue is full."""


class Helper:
    """The helper's vocabulary as methods; see powerd/helper/protocol.py for what each word promises.

    Every method raises HostError with one sentence when the helper refuses or is not there.

    Args:
        at: its socket.
    """

    def __init__(self, at: Path = SOCKET) -> None:
        self.at = at

    async def door(self) -> Path:
        """Where it listens."""
        return self.at

    def close(self) -> None:
        """Nothing is kept open between requests."""

    async def read_alarm(self) -> Alarm:
        """The RTC's time and the alarm that stands."""
        return await ask(ReadAlarm(), await self.door())

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        """Wake the machine in so many seconds; ``replaces`` is our own alarm, if one stands."""
        with _vocabulary():
            request = SetAlarm(in_seconds, replaces)
        return await ask(request, await self.door())

    async def clear_alarm(self, at: int) -> Alarm:
        """Take away the alarm that is set to exactly ``at``."""
        with _vocabulary():
            request = ClearAlarm(at)
        return await ask(request, await self.door())

    async def read_card(self, interface: str) -> model.Card:
        """By what a network card can wake the machine, and by what it will."""
        with _vocabulary():
            request = ReadCard(interface)
        return _card(await ask(request, await self.door()))

    async def arm_card(self, interface: str) -> model.Card:
        """Let a magic packet wake the machine; what is so afterwards."""
        with _vocabulary():
            request = ArmCard(interface)
        return _card(await ask(request, await self.door()))


def _card(answer: Card) -> model.Card:
    return model.Card(answer.interface, answer.supported, answer.armed)


@contextlib.contextmanager
def _vocabulary() -> Iterator[None]:
    """A request that is none of the vocabulary is never sent."""
    try:
        yield
    except ProtocolError as error:
        raise HostError(f"the helper cannot be asked that: {error}") from None


@overload
async def ask(request: AlarmRequest, at: Path = SOCKET) -> Alarm: ...
@overload
async def ask(request: CardRequest, at: Path = SOCKET) -> Card: ...
@overload
async def ask(request: PowerRequest, at: Path = SOCKET) -> Power: ...
@overload
async def ask(request: DriveRequest, at: Path = SOCKET) -> Drive: ...
@overload
async def ask(request: Guard, at: Path = SOCKET) -> Roused: ...
@overload
async def ask(request: CheckHealth, at: Path = SOCKET) -> DriveHealth: ...
@overload
async def ask(request: StartTest, at: Path = SOCKET) -> Power: ...
async def ask(request: Request, at: Path = SOCKET) -> Alarm | Card | Power | Drive | Roused | DriveHealth:
    """What the helper answers.

    Args:
        request: any of its vocabulary. A Guard is answered when something has happened, be it in a week, and
            ends when this is cancelled.
        at: the helper's socket.

    Raises:
        RefusedByHelperError: it refuses.
        HostError: it is not there, or does not answer within the time that it promises (messages/bounds.py).
    """
    answer = await _exchange(request, at)
    if isinstance(answer, Refused):
        raise RefusedByHelperError(answer.why, answer.cause, answer.commands)
    if not isinstance(answer, _fitting(request)):
        raise HostError(
            f"the helper on {at} answers something else; restart it: systemctl stop powerd-helper"
        )
    return answer


def _fitting(request: Request) -> type[Alarm | Card | Power | Drive | Roused | DriveHealth]:
    """What a request may be answered with besides Refused."""
    if isinstance(request, AlarmRequest):
        return Alarm
    if isinstance(request, CardRequest):
        return Card
    if isinstance(request, PowerRequest | StartTest):
        return Power
    if isinstance(request, CheckHealth):
        return DriveHealth
    return Drive if isinstance(request, DriveRequest) else Roused


def _bound(request: Request) -> float | None:
    """Seconds that the exchange may take; None = any time."""
    promised = within(request)
    return None if promised is None else _START + promised


async def _exchange(request: Request, at: Path) -> Answer:
    bound = _bound(request)
    try:
        async with asyncio.timeout(bound):
            line = await _asked(request, at)
        return parse_answer(line)
    except (FileNotFoundError, ConnectionRefusedError):
        raise HostError(
            f"no helper listens on {at}; start it: systemctl enable --now powerd-helper.socket"
        ) from None
    except PermissionError:
        raise HostError(
            f"cannot open {at}: permission denied; run powerd as its service or as root"
        ) from None
    except TimeoutError:
        raise HostError(
            f"the helper on {at} did not answer within {bound:g} s; see journalctl -u powerd-helper"
        ) from None
    except (OSError, ProtocolError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise HostError(
            f"the helper on {at} gave no answer ({reason}); see journalctl -u powerd-helper"
        ) from None


async def _connect(door: socket.socket, at: Path) -> None:
    """Stand before the helper's door; where many do, wait for a place in the queue (unix(7), EAGAIN)."""
    while True:
        try:
            return door.connect(str(at))
        except BlockingIOError:
            await asyncio.sleep(_QUEUE)


async def _asked(request: Request, at: Path) -> bytes:
    """The line that answers; an answer that came before all was sent is one too."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(0)
        await _connect(door, at)
        with contextlib.suppress(BrokenPipeError):
            await loop.sock_sendall(door, to_line(request))
        line = b""
        while not line.endswith(b"\n") and len(line) < LINE:
            piece = await loop.sock_recv(door, LINE - len(line))
            if not piece:
                break
            line += piece
        return line
