"""The virtual server on its LAN with two clients, and whether this machine can run it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from rig.lan import Host, Lan
from rig.wait import until
from vm.image import Image
from vm.install import PYTHON
from vm.recipe import recipe_of
from vm.server import Server
from vm.service import Powerd

_TOOLS: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
}
_PROCESSOR: Final = "x86_64"
"""Emulated; what is installed on the image is built here, for the same."""
_TAP: Final = "tap0"


class Lab:
    """A server that runs, and two clients: a laptop, and a PC whose firewall drops pings.

    Args:
        lan: the LAN that connects them.
        image: the server's kernel and disk.
        scratch: a directory for the overlays of its disks.
    """

    def __init__(self, lan: Lan, image: Image, scratch: Path) -> None:
        self.laptop = _joined(lan, "laptop", "10.77.1.20")
        self.firewalled = _joined(lan, "firewalled", "10.77.1.21")
        self.firewalled.drop_pings()
        self._lan = lan
        self._image = image
        self._scratch = scratch
        self._network = lan.tap(_TAP)
        self._boots = 0
        self._server: Server | None = None

    def server(self) -> Server:
        """The server, awake and without powerd; it is booted if it is off."""
        if self._server is None or not self._server.on:
            self.close()
            self._boots += 1
            scratch = self._scratch / f"boot{self._boots}"
            scratch.mkdir()
            self._server = Server(self._image, self._network, _TAP, scratch)
            self._server.boot()
        return self._server

    def tidy(self) -> None:
        """Restore the state before the test: all clients off, the server awake, powerd stopped."""
        for host in (self.laptop, self.firewalled):
            host.leave()
        if (server := self._server) is not None and server.on:
            try:
                come_to_rest(server)
            except BaseException:
                self.close()  # the next test boots the server again
                raise

    def close(self) -> None:
        """Switch the server off without a shutdown."""
        if self._server is not None:
            self._server.end()


def come_to_rest(server: Server) -> None:
    """Stop powerd and wake the server, in whatever state it is."""
    until(lambda: _quiet(server), "powerd is stopped, and its server awake")


def _quiet(server: Server) -> bool:
    """Wake the server and stop powerd; False if another sleep is in progress or has begun meanwhile."""
    if server.asleep:
        server.monitor.press_power_button()
    powerd = Powerd(server)
    powerd.stop()  # where it sleeps again before that, an OSError: "not yet"
    powerd.forget()
    return not server.asleep and not server.going_to_sleep()


def _joined(lan: Lan, label: str, address: str) -> Host:
    host = lan.join(label)
    host.take(f"{address}/24")
    host.leave()
    return host


def obstacle() -> str | None:
    """Why this machine cannot run a virtual server; None = it can."""
    if os.geteuid():
        return "makes network namespaces and disks: run as root, e.g. sudo make test-vm"
    if (here := os.uname().machine) != _PROCESSOR:
        return (
            f"the server and the machine that builds for it have to be {_PROCESSOR}: this machine is {here}"
        )
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            return f"{tool} is not installed: apt-get install {package}"
    if not Path("/dev/net/tun").exists():
        return "/dev/net/tun is not there: modprobe tun"
    if recipe_of() is None or not Path(PYTHON).exists():
        return "the server's image and wheels are made by a Debian, and this machine is none"
    return None
