"""The one connection to the system D-Bus: opened at the first use, and again after it has gone.

sdbus rather than dbus-fast: both are kept and typed, but importing this one costs 1.3 MB of memory and the
other 4.5 MB, in a process whose whole budget is 24 MB. It is imported where there is a bus only.
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
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from powerd.host.values import Going, HostError

if TYPE_CHECKING:
    from sdbus import SdBus, SdBusBaseError
    from sdbus.sd_bus_internals import SdBusMessage, SdBusSlot

BOUND: Final = 20.0
"""Seconds for everything that is asked in one go."""
_WORDS: Final = 200
"""Characters of what somebody else says that are told on."""
_PAUSES: Final = (1.0, 60.0)
_ADDRESS: Final = "unix:path=/run/dbus/system_bus_socket"

_NOBODY: Final = re.compile(r"org\.freedesktop\.(DBus\.Error\.Spawn\..*|systemd1\.(NoSuchUnit|UnitMasked))")
"""What D-Bus says of a service that it knows and cannot start: no systemd runs here, or it is masked."""


class AbsentError(HostError):
    """There is nobody to ask, and has been nobody since powerd started: nobody is asked to wait either."""


class Match(NamedTuple):
    """A signal to be told of, of one object of one service, so that nobody else's wake the process."""

    service: str
    path: str
    interface: str
    member: str


def socket_of(address: str) -> Path | None:
    """Where the first Unix socket of a D-Bus address is; None = it begins with something else."""
    path = re.match(r"unix:(?:[^;]*,)?path=([^,;]+)", address)
    return Path(path[1]) if path else None


def said(error: BaseException) -> str:
    """What D-Bus said. The library's own errors tell its source lines; only their errno is for people."""
    number = re.search(r"returned error number: (\d+)", str(error))
    if number:
        return os.strerror(int(number[1]))
    return " ".join(str(error.args[-1] if error.args else error).split())[:_WORDS]


def _sentence(whom: str, error: SdBusBaseError) -> HostError:
    """What went wrong with a call, for people."""
    import sdbus  # noqa: PLC0415 - has been imported by now

    if isinstance(error, sdbus.SdBusUnmappedMessageError) and _NOBODY.fullmatch(error.args[0]):
        return AbsentError(f"{whom} is not running here")
    if isinstance(error, sdbus.DbusServiceUnknownError | sdbus.DbusNameHasNoOwnerError):
        return AbsentError(f"{whom} is not running here")
    if isinstance(error, sdbus.SdBusLibraryError | sdbus.DbusNoReplyError):
        return HostError(f"{whom} gave no answer: {said(error)}; is dbus running?")
    return HostError(f"{whom} refused: {said(error)}")


class Bus:
    """The connection, whoever uses it.

    Args:
        matches: signals to be told of.
        read: what a signal says, by its member and contents; None = nothing of interest.
    """

    def __init__(
        self, matches: Sequence[Match], read: Callable[[str, tuple[Any, ...]], Going | None]
    ) -> None:
        self._matches = matches
        self._read = read
        self._link: _Link | None = None
        self._met = asyncio.Event()

    @asynccontextmanager
    async def asking(self, whom: str) -> AsyncIterator[SdBus]:
        """Give the connection; what goes wrong with it inside ``with`` becomes a HostError.

        Args:
            whom: who is asked, as people call it.

        Raises:
            AbsentError: there is no D-Bus, or nobody by that name on it.
            HostError: no answer within 20 s, or a refusal.
        """
        link = self._linked()
        import sdbus  # noqa: PLC0415 - where there is a bus only

        try:
            async with asyncio.timeout(BOUND):
                yield link.bus
        except TimeoutError:
            raise HostError(f"{whom} did not answer within {BOUND:g} s") from None
        except sdbus.SdBusBaseError as error:
            if isinstance(error, sdbus.SdBusLibraryError):
                link.hang_up()  # it is broken; the next question finds another
            raise _sentence(whom, error) from None

    async def goings(self) -> AsyncGenerator[Going]:
        """What signals say, from now on, and how the connection comes and goes; never ends, never raises.

        Where there has been no bus yet it waits until somebody has found one: nothing is tried by the minute.
        """
        pause, longest = _PAUSES
        while True:
            try:
                heard = await self._listen()
            except AbsentError:
                await self._met.wait()
            except HostError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)
            else:
                yield Going("found")
                while (going := await heard.get()) is not None:
                    yield going
                yield Going("lost")
                pause = _PAUSES[0]
                await asyncio.sleep(pause)

    def close(self) -> None:
        """Hang up; whoever waits for an answer is told that none will come."""
        if self._link is not None:
            self._link.hang_up()

    async def _listen(self) -> asyncio.Queue[Going | None]:
        link = self._linked()
        heard = link.listen()
        await link.ready()
        return heard

    def _linked(self) -> _Link:
        """The connection, opened if there is none."""
        if self._link is None:
            address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or _ADDRESS
            path = socket_of(address)
            if not self._met.is_set() and path is not None and not path.exists():
                raise AbsentError(f"there is no system D-Bus at {path}")
            self._link = _Link(self._matches, self._read, self._gone)
            self._met.set()
        return self._link

    def _gone(self) -> None:
        self._link = None


class _Link:
    """One connection, from its opening to its end."""

    def __init__(
        self,
        matches: Sequence[Match],
        read: Callable[[str, tuple[Any, ...]], Going | None],
        gone: Callable[[], None],
    ) -> None:
        import sdbus  # noqa: PLC0415 - where there is a bus only

        self._read = read
        self._gone = gone
        self._listeners: list[asyncio.Queue[Going | None]] = []
        try:
            self.bus: SdBus = sdbus.sd_bus_open_system()
            self._slots: list[asyncio.Future[SdBusSlot]] = [
                self.bus.match_signal_async(*match, self._hear) for match in matches
            ]
        except (sdbus.SdBusBaseError, OSError) as error:
            raise HostError(f"cannot reach the system D-Bus: {said(error)}; is dbus running?") from None
        # The library takes its reader back when the other side hangs up, and tells nobody. An epoll(7) of our
        # own that waits for nothing but that is ready once in its life, so messages cost no second wake-up.
        self._end = select.epoll()
        self._end.register(self.bus.get_fd(), select.EPOLLRDHUP)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._end.fileno(), self.hang_up)

    def listen(self) -> asyncio.Queue[Going | None]:
        """What is heard from now on; None is the end."""
        heard: asyncio.Queue[Going | None] = asyncio.Queue()
        self._listeners.append(heard)
        return heard

    async def ready(self) -> None:
        """Wait until the bus knows which signals are wanted.

        Raises:
            HostError: it does not say so within 20 s, or refuses.
        """
        slots = self._slots
        await asyncio.wait(slots, timeout=BOUND)  # not cancelled: the library takes that badly
        faults = [slot.exception() if slot.done() else TimeoutError("too late") for slot in slots]
        for fault in filter(None, faults):
            self.hang_up()
            raise HostError(f"the system D-Bus tells of no signals: {said(fault)}; see dbus-daemon(1)")

    def hang_up(self) -> None:
        """End it: those who wait for an answer get an error, those who listen get None."""
        if self._end.closed:
            return
        import sdbus  # noqa: PLC0415 - as in ready

        self._loop.remove_reader(self._end.fileno())
        self._end.close()
        with suppress(sdbus.SdBusBaseError, OSError):
            with socket.socket(fileno=os.dup(self.bus.get_fd())) as line:
                line.shutdown(socket.SHUT_RDWR)
            self.bus.process()  # hands out what came before the end, and an error to those who wait
        self.bus.close()
        for slot in self._slots:
            if not slot.done():
                slot.set_exception(ConnectionError("it hung up"))
            if slot.exception() is None:  # it holds who hears, who holds the bus, which holds a timerfd
                slot.result().close()
        self._slots = []
        for heard in self._listeners:
            heard.put_nowait(None)
        self._gone()

    def _hear(self, message: SdBusMessage) -> None:
        going = self._read(message.member or "", message.parse_to_tuple())
        if going is not None:
            for heard in self._listeners:
                heard.put_nowait(going)


async def properties(bus: SdBus, service: str, path: str, interface: str) -> Mapping[str, Any]:
    """All properties of one interface of an object; {} if it has gone meanwhile."""
    import sdbus  # noqa: PLC0415 - has been imported by now

    message = bus.new_method_call_message(service, path, "org.freedesktop.DBus.Properties", "GetAll")
    message.append_data("s", interface)
    try:
        reply = await bus.call_async(message)
    except sdbus.DbusUnknownObjectError:
        return {}
    table = cast("Mapping[str, tuple[str, Any]]", reply.get_contents())
    return {name: value for name, (_, value) in table.items()}
