"""The ports: five protocols by which sources and actuators use the operating system.

A source or an actuator takes the port that it needs. The adapters in ``linux/`` and the fakes of the tests
implement the protocols. Every method raises HostError with one sentence (what, where, remedy) when the
machine refuses, unless its docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeAlias

from powerd.attribution.model import FileReading, TraceReading
from powerd.core.dataclass import dataclass
from powerd.disks.model import DiskAction, DiskId, GroupSpinUp
from powerd.helper.protocol.messages import AlarmResponse
from powerd.linux.mqtt import ConnectToBroker, no_broker
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
from powerd.power.model import Inhibitor, KeyPress, NetworkCard, SystemdTimer, WakeupState
from powerd.smart.actions import DiskResult

Alarm: TypeAlias = AlarmResponse
"""The RTC as the helper has read it."""


class Files(Protocol):
    """Files, sysfs and udev. Paths are absolute, below a root directory; no device node is opened."""

    def find(self, pattern: str) -> tuple[str, ...]:
        """Paths of files that match a glob such as ``/var/lib/misc/dnsmasq.leases``, sorted; () if none."""
        ...

    def stat_signature(self, path: str) -> StatSignature | None:
        """One stat(2) that follows links; None = there is no such file."""
        ...

    def read_chunks(self, path: str) -> AsyncIterator[str]:
        """The file's text in chunks of 64 KiB; the event loop runs between two chunks.

        Bytes that are not UTF-8 become U+FFFD. Raises HostError when the file cannot be opened or read.
        """
        ...

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        """The file's text, at most ``limit`` bytes of it."""
        ...

    def listdir(self, directory: str) -> tuple[str, ...]:
        """Names in a directory, sorted; () = the directory does not exist.

        Raises HostError when this user may not list the directory.
        """
        ...

    def read_text(self, path: str) -> str | None:
        """A small file's text, stripped; None = the file does not exist or cannot be read. Never raises."""
        ...

    def read_regular(self, path: str) -> str | None:
        """As read_text(), of a file that another user may have put there: no device or pipe is opened."""
        ...

    def read_bytes(self, path: str, limit: int, start: int = 0) -> bytes | None:
        """At most ``limit`` bytes of a file, from byte ``start``; None as read_text(). Never raises.

        Of a file in memory, or of what was written to it a moment ago.
        """
        ...

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        """As read_text for each path; the descriptors stay open until a call without that path."""
        ...

    def read_directories(self, directories: Sequence[str], may_look_up: Collection[str]) -> FileReading:
        """The accesses in these directories since the last call; they stay watched until a call without them.

        Args:
            directories: absolute paths.
            may_look_up: those whose path may be looked up, which may read their disk; a watch is added to
                these only.
        """
        ...

    def realpath(self, path: str) -> str | None:
        """The path with all links resolved; None = it does not exist. Never raises."""
        ...

    def readlink(self, path: str) -> str | None:
        """What a symbolic link contains; None = it is none, or does not exist. Never raises."""
        ...

    def kernel_release(self) -> str:
        """The kernel's release (uname(2)), ``6.1.0-18-amd64``."""
        ...

    def watch_block_devices(self, on_change: Callable[[], None]) -> None:
        """From now on, call ``on_change`` when a block device has been added, removed or changed.

        Raises HostError when events cannot be received. Without udev, or below a test's root, no event comes.
        """
        ...


class Network(Protocol):
    """The LAN: links, neighbours, probes, access points, names and Wake-on-LAN."""

    async def lan(self) -> Lan:
        """Links, own addresses, gateways and guests, from rtnetlink."""
        ...

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The neighbour table of IPv4 and IPv6; only entries with a link-layer address."""
        ...

    async def interfaces(self) -> tuple[Interface, ...]:
        """All network interfaces with their addresses and byte counters, from rtnetlink."""
        ...

    async def tcp_connections(self) -> tuple[TcpConnection, ...]:
        """The TCP connections with other hosts in which data may move; none of powerd's own."""
        ...

    async def sweep(
        self,
        requests: Sequence[ProbeRequest],
        *,
        timeout: float,  # noqa: ASYNC109 - the time that a reply may take, not the call's
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> SweepResult:
        """Probe all hosts concurrently.

        Args:
            requests: one request per address; two requests for one address are a ValueError.
            timeout: seconds that a reply may take.
            tries: probes that are sent to a silent host.
            until_first: stop at the first sufficient reply; the other hosts may be NOT_PROBED.
            deadline: seconds after which the sweep ends; a host without its full timeout by then is FAILED.
        """
        ...

    async def stations(self, control: str) -> str:
        """Associated stations of the hostapd with control socket ``control``, in ``all_sta`` format."""
        ...

    async def resolve(self, name: str) -> tuple[str, ...]:
        """IPv4 addresses of a host name by the machine's resolver (nsswitch.conf(5)); () = not found."""
        ...

    async def exchange(
        self,
        server: tuple[str, int],
        request: bytes,
        *,
        is_complete: Callable[[bytes], bool],
        limit: int,
        timeout: float,  # noqa: ASYNC109 - the time of the whole exchange
    ) -> bytes:
        """Connect to a server, send a request, and read its answer; without TLS.

        Args:
            server: an IP address and a TCP port, or the absolute path of a Unix socket and any number.
            request: sent at once.
            is_complete: whether the bytes read so far are the whole answer; it ends also when the server
                closes the connection.
            limit: bytes that the answer may have.
            timeout: seconds for all of it.
        """
        ...

    async def query(
        self,
        server: tuple[str, int],
        request: bytes,
        *,
        accepts: Callable[[bytes], bool],
        timeout: float,  # noqa: ASYNC109 - the time of each try
    ) -> bytes | None:
        """Send a datagram by UDP, twice at most, and return the first reply that is accepted; never raises.

        Args:
            server: an IP address, a link-local one with its link, and a port.
            request: the datagram.
            accepts: whether a datagram of the server is the reply.
            timeout: seconds for the reply to each try.
        """
        ...

    async def send_magic_packet(self, mac: str, to: Sequence[str]) -> None:
        """Send a Wake-on-LAN magic packet for ``mac`` to each broadcast address in ``to``."""
        ...


class Logind(Protocol):
    """systemd-logind, and the units of systemd."""

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        """Inhibitor locks of other processes, of any mode; () where no D-Bus or no logind runs."""
        ...

    async def can_sleep(self, action: str) -> str:
        """Logind's reply to its Can... method: ``yes``, ``no``, ``na`` or ``challenge``.

        "" where no D-Bus or no logind runs.
        """
        ...

    async def last_key_press(self) -> KeyPress | None:
        """The last key press in any login session; None = none is known."""
        ...

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        """The systemd timers named; ``auto`` means all active ones with WakeSystem=yes (systemd.timer(5)).

        Raises HostError when a named timer does not exist. Where no systemd runs, ``auto`` means none.
        """
        ...

    async def list_units(self, states: Sequence[str], patterns: Sequence[str]) -> tuple[SystemdUnit, ...]:
        """The loaded units of systemd in one of these states (``active``, ``activating``), by name.

        Args:
            states: values of ActiveState.
            patterns: globs that the names match, such as ``session-*.scope``.

        Raises NotRunningError where no systemd runs.
        """
        ...

    async def list_processes(self, unit: str) -> tuple[UnitProcess, ...]:
        """The processes of a unit, of any user, and of the control groups below it; () = it is not loaded."""
        ...

    async def read_start(self, unit: SystemdUnit) -> UnitStart:
        """How a unit was started."""
        ...

    async def find_session(self, session: str) -> LoginSession | None:
        """A login session by its identifier; None = there is no such session, or no logind."""
        ...

    async def user_name(self, uid: int) -> str:
        """The name of a user who is logged in or has a user manager; ``user 1000`` where logind has none."""
        ...

    async def inhibit_delay(self) -> float:
        """Seconds that logind waits for delay locks between PrepareForSleep and the sleep."""
        ...

    def events(self) -> AsyncIterator[LogindEvent]:
        """Logind's signals; the first event is ``found`` once connected. Never ends, never raises."""
        ...

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        """Take an inhibitor lock; it is held until the returned descriptor is closed or the process ends.

        Args:
            what: ``sleep``, ``shutdown``, ``idle``, ...; several are joined by colons.
            why: the text that ``systemd-inhibit --list`` shows.
            mode: ``block`` or ``delay``.
        """
        ...

    async def transition_in_progress(self) -> str:
        """``sleep`` or ``shutdown`` if one has begun, else "". Raises HostError if logind does not reply."""
        ...

    async def check_sleep(self, action: str) -> None:
        """Raise HostError if another process holds a block lock, or ``action`` is not possible."""
        ...

    async def request_sleep(self, action: str) -> None:
        """Call logind's method for ``action``, after check_sleep(): it waits for no other reply."""
        ...


class Helper(Protocol):
    """The privileged helper (powerd/helper/): RTC alarm, Wake-on-LAN setting of network cards, disks."""

    async def read_alarm(self) -> Alarm:
        """The RTC's time and the alarm that is set."""
        ...

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        """Set the RTC alarm and read it back; ``replaces`` is the time of powerd's own earlier alarm."""
        ...

    async def clear_alarm(self, at: int) -> Alarm:
        """Clear the alarm if it is set to exactly ``at``."""
        ...

    async def read_card(self, interface: str) -> NetworkCard:
        """The Wake-on-LAN modes that a network card supports, and those that are enabled."""
        ...

    async def arm_card(self, interface: str) -> NetworkCard:
        """Enable wake-up by magic packet on a network card; returns the setting read back."""
        ...

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        """Execute an action on one disk.

        Raises:
            RefusedByHelperError: the helper refuses, or the drive does.
            HostError: the helper does not run or does not reply.
        """
        ...

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> GroupSpinUp:
        """Wait until one of the disks in standby is accessed, and spin up the others; ends when cancelled."""
        ...

    async def read_files(self, disks: tuple[DiskId, ...], standby: tuple[DiskId, ...] = ()) -> FileReading:
        """The accesses to files on ``disks`` since the last call; both are watched from now on.

        The second helper does this (powerd-files.service). The watch ends with a call without disks.

        Args:
            disks: disks that are spinning.
            standby: others; their accesses are returned once they are in ``disks``.
        """
        ...

    async def read_trace(self, disks: tuple[DiskId, ...]) -> TraceReading:
        """The accesses that the kernel has recorded since the last call; it traces ``disks`` from now on.

        Raises:
            RefusedByHelperError: the kernel does not trace, in one sentence.
            HostError: the helper does not run or does not reply.
        """
        ...

    async def stop_trace(self) -> TraceReading:
        """Stop tracing; the reading is what was recorded until now."""
        ...


class Processes(Protocol):
    """Child processes."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - the time that the child may take
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Run a command without a shell.

        Args:
            argv: the program and its arguments.
            timeout: seconds after which the child is terminated and HostError is raised.
            stdin: what the child reads; None = nothing.
            env: variables added to the environment.
        """
        ...

    async def broadcast(self, text: str) -> None:
        """Write ``text`` to every terminal, by wall(1)."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """The operating system as the daemon sees it.

    Attributes:
        files, network, logind, helper, processes: the five ports.
        read_wakeup_state: the kernel's wakeup counters; empty where the kernel has none.
        connect_to_broker: connects to an MQTT broker.
    """

    files: Files
    network: Network
    logind: Logind
    helper: Helper
    processes: Processes
    read_wakeup_state: Callable[[], WakeupState]
    connect_to_broker: ConnectToBroker = no_broker
