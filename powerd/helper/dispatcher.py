"""The helper's desk: a valid request in, its answer out, each carried out in the lane of its subsystem."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from powerd.disks.model import FailureCause
from powerd.helper import rtc, wake_on_lan
from powerd.helper.disks.requests import DiskRequests
from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor
from powerd.helper.protocol.codec import DiskRequest, Refused, Request, Response
from powerd.helper.protocol.deadlines import DEVICE_DEADLINE
from powerd.helper.protocol.fields import MAX_SENTENCE, ProtocolError
from powerd.helper.protocol.messages import AlarmRequest, AlarmResponse, CardRequest
from powerd.helper.subprocess import Tools


class Dispatcher:
    """Carries requests out, one at a time per subsystem; remembers nothing.

    Args:
        root: where paths begin; a test hands in a tree of files. Netlink is always the machine's.
        deadline: seconds, as DEADLINE; disks have bounds of their own.
        tools: where disk tools are; None = where the system has them.
        allow_loops: loop devices are disks too; for tests.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        deadline: float = DEVICE_DEADLINE,
        tools: Tools | None = None,
        *,
        allow_loops: bool = False,
    ) -> None:
        self._root = root
        self._disk_requests = DiskRequests(root, tools, allow_loops=allow_loops)
        self._rtc_executor = SerialExecutor("the real-time clock", deadline)
        self._card_executor = SerialExecutor("the network cards", deadline)

    @property
    def busy(self) -> bool:
        """Something is under way, or hangs."""
        return self._rtc_executor.busy or self._card_executor.busy or self._disk_requests.busy

    async def dispatch(self, request: Request) -> Response:
        """The answer; never raises."""
        try:
            if isinstance(request, CardRequest):
                work = partial(wake_on_lan.execute, request, self._root, wake_on_lan.EthtoolNetlink())
                return await self._card_executor.call(work, request.wire_name)
            if isinstance(request, DiskRequest):
                return await self._disk_requests.execute(request)
            return await self._rtc_executor.call(
                partial(self._execute_alarm_request, request), request.wire_name
            )
        except RefusalError as error:
            return refusal(str(error), error.cause, error.commands)
        except ProtocolError as error:
            return refusal(f"the machine answers what cannot be: {error}")
        except OSError as error:
            return refusal(
                f"this machine cannot be asked: {error.strerror or error}; see dmesg",
                FailureCause.HELPER_UNAVAILABLE,
            )

    def _execute_alarm_request(self, request: AlarmRequest) -> AlarmResponse:
        return rtc.execute(request, rtc.find_rtc(self._root))


def refusal(reason: str, cause: FailureCause = FailureCause.FAILED, commands: int = 0) -> Refused:
    """A refusal in one printable line, whatever a driver or a client put into it."""
    line = "".join(letter if letter.isprintable() else "?" for letter in reason)
    return Refused(line if len(line) <= MAX_SENTENCE else f"{line[: MAX_SENTENCE - 3]}...", cause, commands)
