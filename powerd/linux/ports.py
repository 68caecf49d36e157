"""Eyes: all that a source may do to the machine, which is to look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

from powerd.linux.values import Alarm, Lan, LogindEvent, Neighbour, ProbeRequest, StatSignature, SweepResult
from powerd.power.model import Inhibitor, KeyPress, NetworkCard, SystemdTimer
from powerd.power.wakeup_cause import WakeupState


class Surroundings(Protocol):
    """Files, links and neighbours; paths are resolved under a root, which may be a test's.

    Every method raises HostError with one sentence (what, where, remedy) when the machine refuses.
    """

    def find(self, pattern: str) -> tuple[str, ...]:
        """Paths of files that fit a glob such as ``/var/lib/misc/dnsmasq.leases``, sorted; () if none."""
        ...

    def stat_signature(self, path: str) -> StatSignature | None:
        """One stat(2), links followed; None = there is no such file."""
        ...

    def read_chunks(self, path: str) -> AsyncIterator[str]:
        """The file's text in pieces of 64 KiB, the loop getting its turn between them.

        Bytes that are no UTF-8 become U+FFFD. Raises HostError when it cannot be opened or read.
        """
        ...

    async def read(self, path: str, limit: int = 1 << 20) -> str:
        """The file's text, at most ``limit`` bytes of it."""
        ...

    async def yield_now(self) -> None:
        """Let the loop have its turn in the middle of a long computation."""
        ...

    async def lan(self) -> Lan:
        """Links, own addresses and gateways, from rtnetlink."""
        ...

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The neighbour table of IPv4 and IPv6, entries with a link-layer address only."""
        ...

    async def sweep(
        self,
        asks: Sequence[ProbeRequest],
        *,
        timeout: float,  # noqa: ASYNC109 - the time an answer may take, not the call's
        tries: int,
        until_first: bool,
        deadline: float = 60.0,
    ) -> SweepResult:
        """Ask all at once; ``until_first`` ends it with the first answer that counts.

        Args:
            asks: whom; several for one address are an error.
            timeout: seconds that an answer may take.
            tries: the silent are asked so many times.
            until_first: stop at the first answer; the others may be NOT_ASKED.
            deadline: seconds after which it ends in any case; who had no full turn by then is FAILED.
        """
        ...

    async def stations(self, control: str) -> str:
        """Associated stations of the hostapd whose control socket is ``control``, in ``all_sta`` format."""
        ...

    async def resolve(self, name: str) -> tuple[str, ...]:
        """IPv4 addresses of a host name by the machine's own resolver (nsswitch.conf(5)); () = not found."""
        ...


class Eyes(Surroundings, Protocol):
    """What sources and checks are handed: the surroundings, and how the machine sleeps and wakes up.

    Every method raises HostError with one sentence (what, where, remedy) when the machine refuses.
    """

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        """Inhibitor locks of others, of any mode; () where there is no D-Bus or no logind to hold one."""
        ...

    async def can_sleep(self, action: str) -> str:
        """What logind answers to its Can... method: ``yes``, ``no``, ``na`` or ``challenge``.

        Where there is no D-Bus or no logind it is ``yes``: sleeping itself will say what is wrong.
        """
        ...

    async def last_key_press(self) -> KeyPress | None:
        """The last sign of a person in any login session; None = none is known of."""
        ...

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        """These systemd timers; ``auto`` stands for all active ones with WakeSystem=yes (systemd.timer(5)).

        Raises HostError when one that is named does not exist. Where there is no systemd, ``auto`` is none.
        """
        ...

    async def inhibit_delay(self) -> float:
        """For how many seconds logind waits for delay locks between its word and the sleep."""
        ...

    def events(self) -> AsyncIterator[LogindEvent]:
        """What logind says unasked; begins with ``found`` once connected. Never ends, never raises."""
        ...

    async def read_card(self, interface: str) -> NetworkCard:
        """By what a network card can wake this machine, and by what it will."""
        ...

    async def read_alarm(self) -> Alarm:
        """The RTC's time and the alarm that stands."""
        ...

    def read_wakeup_state(self) -> WakeupState:
        """What the kernel tells of wake-ups at this moment; empty where it tells nothing."""
        ...


class DiskEyes(Protocol):
    """What the source of disks is handed; paths are resolved under the same root. No device is opened."""

    def listdir(self, directory: str) -> tuple[str, ...]:
        """Names of all that is in a directory, sorted; () = there is none such.

        Raises HostError when it may not be looked into.
        """
        ...

    def read_text(self, path: str) -> str | None:
        """A small file's text without white space around it; None = it is not there, or does not answer."""
        ...

    def read_cached(self, paths: Sequence[str]) -> list[str | None]:
        """As peek, for files that are read again and again: they are kept open until no longer asked for."""
        ...

    def realpath(self, path: str) -> str | None:
        """Where it really is, all links followed; None = it is not there."""
        ...

    def kernel_release(self) -> str:
        """The kernel's release (uname(2)), ``6.1.0-18-amd64``."""
        ...

    def watch_block_devices(self, on_change: Callable[[], None]) -> None:
        """From now on, call ``heard`` when block devices have come, gone or changed.

        Raises HostError when they cannot be heard; without udev, and below a test's root, nothing ever is.
        """
        ...

    async def yield_now(self) -> None:
        """Let the loop have its turn in the middle of a long computation."""
        ...


def under(root: Path, path: str) -> Path:
    """``path`` (absolute) below ``root``."""
    return root / path.lstrip("/")
