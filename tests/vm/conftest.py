"""The virtual server and its LAN, shared by all tests of this directory; booted again if it is off."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Generator, Iterator

import pytest
from rig.lan import Host, Lan
from vm.drives import Drives
from vm.image import cached
from vm.install import with_powerd
from vm.lab import Lab, obstacle
from vm.recipe import recipe_of
from vm.server import Server
from vm.service import Powerd


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    recipe = None if (why := obstacle()) else recipe_of()
    if recipe is None:
        pytest.skip(f"no virtual server: {why}")
    scratch = tmp_path_factory.mktemp("vm")
    try:
        image = with_powerd(cached(recipe), recipe, scratch)
        with Lan(scratch) as lan, contextlib.closing(Lab(lan, image, scratch)) as lab:
            yield lab
    finally:
        shutil.rmtree(scratch)  # gigabytes; a failure has been reported by now


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


@pytest.fixture(scope="module")
def drives(lab: Lab) -> Iterator[Drives]:
    """Drive bays for all tests of a file, because attaching a drive takes seconds."""
    drives = Drives(lab.server())
    yield drives
    drives.pull_out()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the server's console and journal to the report of a failure."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, Server):
        with contextlib.suppress(FileNotFoundError):  # after the last test it is removed
            report.sections.append(("the server", server.last_words()))
    return report
