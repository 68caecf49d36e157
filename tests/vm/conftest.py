"""The virtual server and its LAN, shared by all tests of this directory; one that is off is booted anew."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from rig.lan import Host, Lan
from vm.image import Image, cached
from vm.install import PYTHON, with_powerd
from vm.recipe import of_this_machine
from vm.server import Server
from vm.service import Powerd

_TOOLS: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
}
_TAP: Final = "tap0"


class Lab:
    """A server that is up, and two clients: a laptop, and a PC whose firewall drops pings.

    Args:
        lan: what they are plugged into.
        image: what the server boots.
        scratch: for what its disks hold.
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
        """The server: awake, without powerd; booted where it is off."""
        if self._server is None or not self._server.on:
            self._boots += 1
            scratch = self._scratch / f"boot{self._boots}"
            scratch.mkdir()
            self._server = Server(self._image, self._network, _TAP, scratch).__enter__()
        return self._server

    def tidy(self) -> None:
        """Everything as it was before the test: all clients off, the server awake, powerd stopped."""
        for host in (self.laptop, self.firewalled):
            host.leave()
        if self._server is not None and self._server.on:
            if self._server.asleep:
                self._server.wake()
            Powerd(self._server).stop()

    def close(self) -> None:
        """Pull the plug."""
        if self._server is not None:
            self._server.end()


def _joined(lan: Lan, label: str, address: str) -> Host:
    host = lan.join(label)
    host.take(f"{address}/24")
    host.leave()
    return host


def _obstacle() -> str | None:
    """Why no virtual server can be had here; None if it can."""
    if os.geteuid():
        return "makes network namespaces and disks: run as root, e.g. sudo make test-vm"
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            return f"{tool} is not installed: apt-get install {package}"
    if not Path("/dev/net/tun").exists():
        return "/dev/net/tun is not there: modprobe tun"
    if of_this_machine() is None or not Path(PYTHON).exists():
        return "the server's image and wheels are made by a Debian for its own release, and this is none"
    return None


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    recipe = None if (obstacle := _obstacle()) else of_this_machine()
    if recipe is None:
        pytest.skip(f"no virtual server: {obstacle}")
    scratch = tmp_path_factory.mktemp("vm")
    try:
        image = with_powerd(cached(recipe), scratch)
        with Lan(scratch) as lan, contextlib.closing(Lab(lan, image, scratch)) as lab:
            yield lab
    finally:
        for disk in (scratch / "powerd.img", *scratch.glob("boot*/root.qcow2")):
            disk.unlink(missing_ok=True)  # pytest keeps the rest of the last three runs


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    server = lab.server()
    yield server
    lab.tidy()


@pytest.fixture
def powerd(server: Server) -> Powerd:
    return Powerd(server)


@pytest.fixture
def laptop(lab: Lab) -> Host:
    lab.laptop.come_back()
    return lab.laptop


@pytest.fixture
def firewalled(lab: Lab) -> Host:
    lab.firewalled.come_back()
    return lab.firewalled


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure is shown with the server's own words."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.when == "call" and report.failed and isinstance(server, Server):
        report.sections.append(("the server", server.last_words()))
    return report
