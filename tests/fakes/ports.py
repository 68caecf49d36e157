"""A fake of all ports that records the actions and does nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fakes.unused_ports import UnusedPorts

from powerd.attribution.model import FileReading
from powerd.core.actions import Sleep
from powerd.disks.model import DiskAction, DiskId, GroupSpinUp, PowerMode, PowerStatus
from powerd.linux.ports import Ports
from powerd.linux.values import HostError, ProcessResult
from powerd.power.model import WakeupState
from powerd.smart.actions import DiskResult


@dataclass(slots=True)
class RecordingPorts(UnusedPorts):
    """The ports of a server where nothing happens.

    Attributes:
        calls: the actions in their order, the name first.
        command_result: how every command ends.
        error: the error of every action; None = they succeed.
        answers: what servers answer, by address and port; others refuse the connection.
    """

    calls: list[tuple[object, ...]] = field(default_factory=list)
    command_result: ProcessResult = field(default=ProcessResult(0, "", ""))
    error: str | None = None
    answers: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def ports(self) -> Ports:
        return Ports(self, self, self, self, self, WakeupState)

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as Processes.run
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        self._record("run", tuple(argv), timeout, *(env or {}).items(), *([stdin] if stdin else []))
        return self.command_result

    async def exchange(
        self,
        server: tuple[str, int],
        request: bytes,
        *,
        is_complete: Callable[[bytes], bool],
        limit: int,
        timeout: float,  # noqa: ASYNC109 - the signature of the port Network
    ) -> bytes:
        del limit, timeout
        self._record("exchange", server, request)
        if server not in self.answers:
            raise HostError(f"no connection to {server[0]}")
        assert is_complete(self.answers[server])
        return self.answers[server]

    async def check_sleep(self, action: str) -> None:
        """Nothing forbids a sleep."""

    async def request_sleep(self, action: str) -> None:
        self._record("logind", action)

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        self._record("disk", action)
        return PowerStatus(PowerMode.ACTIVE)

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> GroupSpinUp:
        self._record("guard", disks)
        return GroupSpinUp(disks[0], disks[1:], (), 1.0)

    async def read_files(self, disks: tuple[DiskId, ...], standby: tuple[DiskId, ...] = ()) -> FileReading:
        self._record("files", disks, standby)
        return FileReading()

    async def broadcast(self, text: str) -> None:
        self._record("broadcast", text)

    def _record(self, *call: object) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise HostError(self.error)


class RecordingTransition:
    """The preparation of a sleep, recorded among the calls of ``ports``.

    Args:
        ports: the record.
        error: why each preparation fails; None = they succeed.
    """

    def __init__(self, ports: RecordingPorts, error: str | None = None) -> None:
        self._ports, self._error = ports, error

    async def prepare_action(self, action: Sleep) -> None:
        self._ports.calls.append(("prepare", action.sleep_action))
        if self._error:
            raise HostError(self._error)

    async def cancel(self) -> None:
        self._ports.calls.append(("cancel",))
