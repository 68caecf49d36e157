"""A base class for fakes: every method of the five ports raises NotImplementedError unless overridden."""

# ruff: noqa: ASYNC109 - the signatures are those of the ports
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

from powerd.attribution.model import FileReading, TraceReading
from powerd.disks.model import DiskAction, DiskId, GroupSpinUp
from powerd.linux.ports import Alarm
from powerd.linux.values import (
    Interface,
    Lan,
    LogindEvent,
    LoginSession,
    Neighbour,
    ProbeRequest,
    ProcessResult,
    StatSignature,
    SweepResult,
    SystemdUnit,
    TcpConnection,
    UnitProcess,
    UnitStart,
)
from powerd.power.model import Inhibitor, KeyPress, NetworkCard, SystemdTimer
from powerd.smart.actions import DiskResult


class UnusedPorts:
    """Every port; a method that the fake does not override fails."""

    __slots__ = ()

    def find(self, pattern: str) -> tuple[str, ...]:
        raise NotImplementedError

    def stat_signature(self, path: str) -> StatSignature | None:
        raise NotImplementedError

    def read_chunks(self, path: str) -> AsyncIterator[str]:
        raise NotImplementedError

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        raise NotImplementedError

    def listdir(self, directory: str) -> tuple[str, ...]:
        raise NotImplementedError

    def read_text(self, path: str) -> str | None:
        raise NotImplementedError

    def read_regular(self, path: str) -> str | None:
        raise NotImplementedError

    def read_bytes(self, path: str, limit: int, start: int = 0) -> bytes | None:
        raise NotImplementedError

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        raise NotImplementedError

    def read_directories(self, directories: Sequence[str], may_look_up: Collection[str]) -> FileReading:
        raise NotImplementedError

    def realpath(self, path: str) -> str | None:
        raise NotImplementedError

    def readlink(self, path: str) -> str | None:
        raise NotImplementedError

    def kernel_release(self) -> str:
        raise NotImplementedError

    def watch_block_devices(self, on_change: Callable[[], None]) -> None:
        raise NotImplementedError

    async def lan(self) -> Lan:
        raise NotImplementedError

    async def neighbours(self) -> tuple[Neighbour, ...]:
        raise NotImplementedError

    async def interfaces(self) -> tuple[Interface, ...]:
        raise NotImplementedError

    async def tcp_connections(self) -> tuple[TcpConnection, ...]:
        raise NotImplementedError

    async def sweep(
        self,
        asks: Sequence[ProbeRequest],
        *,
        timeout: float,
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> SweepResult:
        raise NotImplementedError

    async def stations(self, control: str) -> str:
        raise NotImplementedError

    async def resolve(self, name: str) -> tuple[str, ...]:
        raise NotImplementedError

    async def exchange(
        self,
        server: tuple[str, int],
        request: bytes,
        *,
        is_complete: Callable[[bytes], bool],
        limit: int,
        timeout: float,
    ) -> bytes:
        raise NotImplementedError

    async def query(
        self,
        server: tuple[str, int],
        request: bytes,
        *,
        accepts: Callable[[bytes], bool],
        timeout: float,
    ) -> bytes | None:
        raise NotImplementedError

    async def send_magic_packet(self, mac: str, to: Sequence[str]) -> None:
        raise NotImplementedError

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        raise NotImplementedError

    async def can_sleep(self, action: str) -> str:
        raise NotImplementedError

    async def last_key_press(self) -> KeyPress | None:
        raise NotImplementedError

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        raise NotImplementedError

    async def list_units(self, states: Sequence[str], patterns: Sequence[str]) -> tuple[SystemdUnit, ...]:
        raise NotImplementedError

    async def list_processes(self, unit: str) -> tuple[UnitProcess, ...]:
        raise NotImplementedError

    async def read_start(self, unit: SystemdUnit) -> UnitStart:
        raise NotImplementedError

    async def find_session(self, session: str) -> LoginSession | None:
        raise NotImplementedError

    async def user_name(self, uid: int) -> str:
        raise NotImplementedError

    async def inhibit_delay(self) -> float:
        raise NotImplementedError

    def events(self) -> AsyncIterator[LogindEvent]:
        raise NotImplementedError

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        raise NotImplementedError

    async def transition_in_progress(self) -> str:
        raise NotImplementedError

    async def check_sleep(self, action: str) -> None:
        raise NotImplementedError

    async def request_sleep(self, action: str) -> None:
        raise NotImplementedError

    async def read_alarm(self) -> Alarm:
        raise NotImplementedError

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        raise NotImplementedError

    async def clear_alarm(self, at: int) -> Alarm:
        raise NotImplementedError

    async def read_card(self, interface: str) -> NetworkCard:
        raise NotImplementedError

    async def arm_card(self, interface: str) -> NetworkCard:
        raise NotImplementedError

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        raise NotImplementedError

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> GroupSpinUp:
        raise NotImplementedError

    async def read_files(self, disks: tuple[DiskId, ...], standby: tuple[DiskId, ...] = ()) -> FileReading:
        raise NotImplementedError

    async def read_trace(self, disks: tuple[DiskId, ...]) -> TraceReading:
        raise NotImplementedError

    async def stop_trace(self) -> TraceReading:
        raise NotImplementedError

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        raise NotImplementedError

    async def broadcast(self, text: str) -> None:
        raise NotImplementedError
