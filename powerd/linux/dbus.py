"""The connection to the system D-Bus: opened at the first use, and reopened after it is lost.

sdbus rather than dbus-fast: both are maintained and typed, but sdbus costs 1.3 MB of memory and dbus-fast
4.5 MB, in a process with a budget of 24 MB. sdbus is imported only where a bus exists.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from powerd.linux.values import HostError, LogindEvent

if TYPE_CHECKING:
    from sdbus import SdBus, SdBusBaseError
    from sdbus.sd_bus_internals import SdBusMessage, SdBusSlot

BOUND: Final = 20.0
"""Seconds for all calls of one connection() block."""
_MAX_TEXT: Final = 200
"""Characters of an error text from D-Bus that a message quotes."""
_PAUSES: Final = (1.0, 60.0)
_ADDRESS: Final = "unix:path=/run/dbus/system_bus_socket"

_NOT_RUNNING: Final = re.compile(
    r"org\.freedesktop\.(DBus\.Error\.Spawn\..*|systemd1\.(NoSuchUnit|UnitMasked))"
)
"""D-Bus errors for a service that cannot be started: no systemd runs here, or the unit is masked."""


class NotRunningError(HostError):
    """The service does not run here, and has not run since powerd started."""


class NoReplyError(HostError):
    """The service may have executed the call, or may do so yet: the reply is late, or lost."""


class SignalMatch(NamedTuple):
    """A signal of one object of one service; other signals do not wake the process."""

    service: str
    path: str
    interface: str
    member: str


def socket_path(address: str) -> Path | None:
    """The path of the first Unix socket in a D-Bus address; None = another transport."""
    path = re.match(r"unix:(?:[^;]*,)?path=([^,;]+)", address)
    return Path(path[1]) if path else None


def error_text(error: BaseException) -> str:
    """The text of a D-Bus error. Of sdbus's own errors only the errno is useful."""
    number = re.search(r"returned error number: (\d+)", str(error))
    if number:
        return os.strerror(int(number[1]))
    return " ".join(str(error.args[-1] if error.args else error).split())[:_MAX_TEXT]


def _to_host_error(service: str, error: SdBusBaseError) -> HostError:
    """The error of a D-Bus call as a HostError."""
    import sdbus  # noqa: PLC0415 - imported by now

    if isinstance(error, sdbus.SdBusUnmappedMessageError) and _NOT_RUNNING.fullmatch(error.args[0]):
        return NotRunningError(f"{service} is not running here")
    if isinstance(error, sdbus.DbusServiceUnknownError | sdbus.DbusNameHasNoOwnerError):
        return NotRunningError(f"{service} is not running here")
    if isinstance(error, sdbus.SdBusLibraryError | sdbus.DbusNoReplyError):
        return NoReplyError(f"{service} gave no answer: {error_text(error)}; is dbus running?")
    return HostError(f"{service} refused: {error_text(error)}")


class Bus:
    """The connection, shared by all users.

    Args:
        matches: the signals to receive.
        parse: makes an event of a signal's member and contents; None = ignore the signal.
    """

    def __init__(
        self, matches: Sequence[SignalMatch], parse: Callable[[str, tuple[Any, ...]], LogindEvent | None]
    ) -> None:
        self._matches = matches
        self._parse = parse
        self._connection: _Connection | None = None
        self._bus_found = asyncio.Event()

    @asynccontextmanager
    async def connection(self, service: str) -> AsyncIterator[SdBus]:
        """Yield the connection; an error of D-Bus inside ``with`` becomes a HostError.

        Args:
            service: the service that is called, as messages name it.

        Raises:
            NotRunningError: there is no D-Bus, or no such service on it.
            NoReplyError: no reply within 20 s, or the connection is lost.
            HostError: a refusal.
        """
        current = self._connect()
        import sdbus  # noqa: PLC0415 - only where a bus exists

        try:
            async with asyncio.timeout(BOUND):
                yield current.bus
        except TimeoutError:
            raise NoReplyError(f"{service} did not answer within {BOUND:g} s") from None
        except sdbus.SdBusBaseError as error:
            if isinstance(error, sdbus.SdBusLibraryError):
                current.disconnect()  # the connection is broken; the next call opens another
            raise _to_host_error(service, error) from None

    async def events(self) -> AsyncGenerator[LogindEvent]:
        """Events of signals from now on, and of the connection (found, lost); never ends, never raises.

        Where no bus has existed yet, it waits until a call has found one, and does not retry periodically.
        """
        delay, max_delay = _PAUSES
        while True:
            try:
                queue = await self._subscribe()
            except NotRunningError:
                await self._bus_found.wait()
            except HostError:
                await asyncio.sleep(delay)
                delay = min(2 * delay, max_delay)
            else:
                yield LogindEvent("found")
                while (event := await queue.get()) is not None:
                    yield event
                yield LogindEvent("lost")
                delay = _PAUSES[0]
                await asyncio.sleep(delay)

    def close(self) -> None:
        """Disconnect; pending calls fail."""
        if self._connection is not None:
            self._connection.disconnect()

    async def _subscribe(self) -> asyncio.Queue[LogindEvent | None]:
        current = self._connect()
        queue = current.subscribe()
        await current.wait_ready()
        return queue

    def _connect(self) -> _Connection:
        """The connection; opens it if there is none."""
        if self._connection is None:
            address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or _ADDRESS
            path = socket_path(address)
            if not self._bus_found.is_set() and path is not None and not path.exists():
                raise NotRunningError(f"there is no system D-Bus at {path}")
            self._connection = _Connection(self._matches, self._parse, self._on_disconnect)
            self._bus_found.set()
        return self._connection

    def _on_disconnect(self) -> None:
        self._connection = None


class _Connection:
    """One connection, from open to close."""

    def __init__(
        self,
        matches: Sequence[SignalMatch],
        parse: Callable[[str, tuple[Any, ...]], LogindEvent | None],
        on_disconnect: Callable[[], None],
    ) -> None:
        import sdbus  # noqa: PLC0415 - only where a bus exists

        self._parse = parse
        self._on_disconnect = on_disconnect
        self._queues: list[asyncio.Queue[LogindEvent | None]] = []
        try:
            self.bus: SdBus = sdbus.sd_bus_open_system()
            self._slots: list[asyncio.Future[SdBusSlot]] = [
                self.bus.match_signal_async(*match, self._on_message) for match in matches
            ]
        except (sdbus.SdBusBaseError, OSError) as error:
            raise HostError(f"cannot reach the system D-Bus: {error_text(error)}; is dbus running?") from None
        # sdbus removes its reader when the bus disconnects, and reports nothing. A separate epoll(7) that
        # waits
        # only for EPOLLRDHUP becomes ready once, so messages cost no second wake-up.
        self._hangup_poll = select.epoll()
        self._hangup_poll.register(self.bus.get_fd(), select.EPOLLRDHUP)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._hangup_poll.fileno(), self.disconnect)

    def subscribe(self) -> asyncio.Queue[LogindEvent | None]:
        """A queue of the events from now on; None is the end."""
        queue: asyncio.Queue[LogindEvent | None] = asyncio.Queue()
        self._queues.append(queue)
        return queue

    async def wait_ready(self) -> None:
        """Wait until the bus has accepted the signal matches.

        Raises:
            HostError: it does not confirm within 20 s, or refuses.
        """
        slots = self._slots
        await asyncio.wait(slots, timeout=BOUND)  # not cancelled: sdbus does not handle that
        faults = [
            slot.exception() if slot.done() else TimeoutError("the time limit expired") for slot in slots
        ]
        for fault in filter(None, faults):
            self.disconnect()
            raise HostError(f"the system D-Bus delivers no signals: {error_text(fault)}; see dbus-daemon(1)")

    def disconnect(self) -> None:
        """Close the connection: pending calls get an error, queues get None."""
        if self._hangup_poll.closed:
            return
        import sdbus  # noqa: PLC0415 - only where a bus exists

        self._loop.remove_reader(self._hangup_poll.fileno())
        self._hangup_poll.close()
        with suppress(sdbus.SdBusBaseError, OSError):
            with socket.socket(fileno=os.dup(self.bus.get_fd())) as connection:
                connection.shutdown(socket.SHUT_RDWR)
            self.bus.process()  # delivers messages received before the end, and an error to pending calls
        self.bus.close()
        for slot in self._slots:
            if not slot.done():
                slot.set_exception(ConnectionError("it closed the connection"))
            if slot.exception() is None:  # a slot references the callback, the bus and its timerfd
                slot.result().close()
        self._slots = []
        for queue in self._queues:
            queue.put_nowait(None)
        self._on_disconnect()

    def _on_message(self, message: SdBusMessage) -> None:
        event = self._parse(message.member or "", message.parse_to_tuple())
        if event is not None:
            for queue in self._queues:
                queue.put_nowait(event)


class BusInterface(NamedTuple):
    """One interface of an object of a service."""

    service: str
    path: str
    name: str

    async def call(self, bus: SdBus, method: str, signature: str = "", *arguments: object) -> Any:  # noqa: ANN401 - a D-Bus value
        """Call a method; returns its reply, a tuple if that has several values.

        Args:
            bus: the connection.
            method: the name of the method.
            signature: the types of the arguments, by D-Bus: ``sb``.
            arguments: of the method.
        """
        message = bus.new_method_call_message(self.service, self.path, self.name, method)
        if signature:
            message.append_data(signature, *arguments)
        return (await bus.call_async(message)).get_contents()

    async def properties(self, bus: SdBus) -> Mapping[str, Any]:
        """All properties; {} if the object no longer exists."""
        import sdbus  # noqa: PLC0415 - imported by now

        interface = self._replace(name="org.freedesktop.DBus.Properties")
        try:
            table: Mapping[str, tuple[str, Any]] = await interface.call(bus, "GetAll", "s", self.name)
        except sdbus.DbusUnknownObjectError:
            return {}
        return {name: value for name, (_, value) in table.items()}
