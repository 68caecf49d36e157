"""The helper's desk: a valid request in, its answer out, each carried out in the lane of its subsystem."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from powerd.helper import card, rtc
from powerd.helper.bay import Bay
from powerd.helper.errors import RefusalError
from powerd.helper.kinds import WORDS
from powerd.helper.lane import Lane
from powerd.helper.messages.bounds import DEADLINE
from powerd.helper.protocol import (
    Alarm,
    AlarmRequest,
    Answer,
    CardRequest,
    DiskRequest,
    ProtocolError,
    Refused,
    Request,
)
from powerd.helper.tool import Tools
from powerd.model import Trouble


class Desk:
    """Carries requests out, one at a time per subsystem; remembers nothing.

    Args:
        root: where paths begin; a test hands in a tree of files. Netlink is always the machine's.
        deadline: seconds, as DEADLINE; disks have bounds of their own.
        tools: where disk tools are; None = where the system has them.
        loops: loop devices are disks too; for tests.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        deadline: float = DEADLINE,
        tools: Tools | None = None,
        *,
        loops: bool = False,
    ) -> None:
        self._root = root
        self._bay = Bay(root, tools, loops=loops)
        self._clock = Lane("the real-time clock", deadline)
        self._cards = Lane("the network cards", deadline)

    @property
    def busy(self) -> bool:
        """Something is under way, or hangs."""
        return self._clock.busy or self._cards.busy or self._bay.busy

    async def serve(self, request: Request) -> Answer:
        """The answer; never raises."""
        try:
            if isinstance(request, CardRequest):
                work = partial(card.obey, request, self._root, card.Kernel())
                return await self._cards.call(work, request.word)
            if isinstance(request, DiskRequest):
                return await self._bay.serve(request)
            return await self._clock.call(partial(self._at_the_clock, request), request.word)
        except RefusalError as error:
            return refused(str(error), error.cause, error.commands)
        except ProtocolError as error:
            return refused(f"the machine answers what cannot be: {error}")
        except OSError as error:
            return refused(
                f"this machine cannot be asked: {error.strerror or error}; see dmesg", Trouble.UNREACHED
            )

    def _at_the_clock(self, request: AlarmRequest) -> Alarm:
        return rtc.obey(request, rtc.find(self._root))


def refused(why: str, cause: Trouble = Trouble.FAILED, commands: int = 0) -> Refused:
    """A refusal in one printable line, whatever a driver or a client put into it."""
    line = "".join(letter if letter.isprintable() else "?" for letter in why)
    return Refused(line if len(line) <= WORDS else f"{line[: WORDS - 3]}...", cause, commands)
