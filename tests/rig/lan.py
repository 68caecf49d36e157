"""A LAN on one machine: a bridge, a server and clients, each in a network namespace of its own.

Everything is created by ``with Lan() as lan:`` and removed after it, also when a test fails. Names
contain the id of this process, so parallel runs do not interfere. Needs root; nothing touches the
machine's own network.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

_counter: Final = itertools.count(1)
_UDHCPC_SCRIPT: Final = """\
#!/bin/sh
# udhcpc calls this with what it was offered in the environment: take the address, nothing else.
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip -4 address flush dev "$interface"
exec ip address add "$ip/$mask" dev "$interface"
"""


@dataclass
class Namespace:
    """One network namespace, and the processes that were started in it."""

    name: str
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def prefix(self) -> list[str]:
        """The argv prefix that runs a command in this namespace."""
        return ["ip", "netns", "exec", self.name]

    def run(self, *argv: str, check: bool = True, within: float = 180) -> subprocess.CompletedProcess[str]:
        """Run a command in this namespace; returns its output."""
        return subprocess.run(
            [*self.prefix(), *argv], check=check, capture_output=True, text=True, timeout=within
        )

    def start(
        self,
        *argv: str,
        env: dict[str, str] | None = None,
        log: IO[bytes] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a long-running command in this namespace; it ends with the LAN at the latest.

        ``ip netns exec`` becomes the command by exec(3), so the process's id is the command's own.
        """
        process = subprocess.Popen(
            [*self.prefix(), *argv],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log or subprocess.DEVNULL,
            pass_fds=pass_fds,
            stderr=subprocess.STDOUT,
        )
        self._started.append(process)
        return process

    def sysctl(self, key: str, value: str) -> None:
        """Set a sysctl of this namespace, e.g. ``net.ipv4.icmp_echo_ignore_all``."""
        self.run("sysctl", "-qw", f"{key}={value}")

    def close(self) -> None:
        """End the started processes, and remove the namespace."""
        for process in self._started:
            stop(process)
        self._started.clear()
        _ip("netns", "delete", self.name)


@dataclass
class Host:
    """A machine on the LAN with one card, ``eth0``.

    Attributes:
        label: its host name, which it sends to the DHCP server.
        inside: its namespace.
        mac: of its card.
        port: the bridge's end of its cable, in the bridge's namespace ``_wire``.
        address: its leased or static address; None = it has none yet.
    """

    label: str
    inside: Namespace
    mac: str
    port: str
    _wire: str
    _script: Path
    address: str | None = None

    def lease(self) -> str:
        """Request an address by DHCP, and use it."""
        self.inside.run(
            *("busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "90", "-T", "1"),
            *("-x", f"hostname:{self.label}", "-s", str(self._script)),
        )
        return self._note_address()

    def take(self, address: str) -> str:
        """Use the static ``address`` (with its prefix length)."""
        _ip("-n", self.inside.name, "address", "add", address, "dev", "eth0")
        return self._note_address()

    def _note_address(self) -> str:
        shown = self.inside.run("ip", "-4", "-o", "address", "show", "dev", "eth0").stdout.split()
        self.address = shown[shown.index("inet") + 1].partition("/")[0]
        return self.address

    def drop_pings(self) -> None:
        """Stop answering ICMP echo requests, as a PC with a firewall; ARP is still answered."""
        self.inside.sysctl("net.ipv4.icmp_echo_ignore_all", "1")

    def say_hello(self, address: str) -> None:
        """Exchange a packet with ``address``, so that it learns this host's MAC."""
        self.inside.run("ping", "-c1", "-W20", address)

    def leave(self) -> None:
        """Switch the host off: the card goes down."""
        _ip("-n", self.inside.name, "link", "set", "eth0", "down")

    def come_back(self) -> None:
        """Switch the host on again, with its address."""
        _ip("-n", self.inside.name, "link", "set", "eth0", "up")

    def unplug(self) -> None:
        """Pull the cable: the card stays up and loses its carrier."""
        _ip("-n", self._wire, "link", "set", self.port, "down")

    def plug_in(self) -> None:
        """Put the cable back."""
        _ip("-n", self._wire, "link", "set", self.port, "up")


class Lan:
    """The bridge, the server, and the other hosts.

    Args:
        scratch: a directory for files of the LAN's own.
        subnet: the third number of its addresses, 10.77.SUBNET.0/24; the server is .1.
    """

    def __init__(self, scratch: Path, subnet: int = 1) -> None:
        self._unique = f"pwd{os.getpid()}-{next(_counter)}"
        self.hosts: list[Host] = []
        self._undo = contextlib.ExitStack()
        self._script = scratch / "udhcpc.script"
        self._script.write_text(_UDHCPC_SCRIPT)
        self._script.chmod(0o755)
        self.net = f"10.77.{subnet}"
        self.scratch = scratch

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            self._bridge = self._namespace("br", undo)
            _ip("-n", self._bridge.name, "link", "add", "br0", "type", "bridge")
            _ip("-n", self._bridge.name, "link", "set", "br0", "up")
            self._undo = undo.pop_all()
            try:
                self.server = self.join("server")
                self.server.take(f"{self.net}.1/24")
            except BaseException:
                self._undo.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _namespace(self, name: str, undo: contextlib.ExitStack) -> Namespace:
        space = Namespace(f"{self._unique}-{name}")
        _ip("netns", "add", space.name)
        undo.callback(space.close)
        _ip("-n", space.name, "link", "set", "lo", "up")
        return space

    def join(self, label: str) -> Host:
        """Connect a new host to the bridge; it has no address yet."""
        number = len(self.hosts)
        space = self._namespace(f"h{number}", self._undo)
        host = Host(
            label, space, f"02:77:00:00:00:{number + 1:02x}", f"port{number}", self._bridge.name, self._script
        )
        # The bridge's end is made first and raised last: the far end then has its carrier at once.
        _ip(
            *("-n", self._bridge.name, "link", "add", host.port, "type", "veth"),
            *("peer", "name", "eth0", "address", host.mac, "netns", space.name),
        )
        _ip("-n", self._bridge.name, "link", "set", host.port, "master", "br0", "up")
        host.come_back()
        self.hosts.append(host)
        return host

    def tap(self, name: str) -> Namespace:
        """The tap device ``name`` for a virtual machine; returns the namespace to run it in."""
        _ip("-n", self._bridge.name, "tuntap", "add", name, "mode", "tap")
        _ip("-n", self._bridge.name, "link", "set", name, "master", "br0", "up")
        return self._bridge


def stop(process: subprocess.Popen[bytes], delay: float = 10) -> int:
    """End a process of this test by SIGTERM and then SIGKILL; returns its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def _ip(*words: str) -> None:
    """Run ip(8); an error contains the whole command."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
