"""The Debian package on a booted system: installation, upgrade, removal.

The system is a container (tests/rig/boot.py) with nothing but systemd, D-Bus and polkit. Packages come from
the mirror before it boots. The tests of a release share one boot and run in the order they stand in.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from rig.boot import REPOSITORY, Booted
from rig.daemon import NO_CHECKS
from rig.lan import Lan
from rig.wait import until
from vm.install import dependencies, source
from vm.package import build, cached_root
from vm.recipe import recipe_of

pytestmark = pytest.mark.vm

RELEASES: Final = os.environ.get("POWERD_PACKAGE_RELEASES", "bookworm trixie").split()
BASE: Final = ("systemd-sysv", "dbus", "polkitd")
BUILD: Final = "python3-venv python3-dev gcc pkg-config libsystemd-dev"
"""What contrib/install installs, besides what the package brings."""
CONFIG: Final = '[clients]\nleases = []\nhosts = ["10.77.1.9"]\nlearn = "0s"\n' + NO_CHECKS
UNRELATED: Final = (
    "run/",
    "proc/",
    "sys/",
    "dev/",
    "tmp/",
    "var/cache/",
    "var/log/",
    "var/lib/dpkg/",
    "var/lib/apt/",
    "root/",
    "usr/share/doc/",
    "var/lib/systemd/",
)
"""What every installation and every boot changes."""
SPACE: Final = 45 << 20
"""Bytes that powerd may occupy, without the packages that it depends on."""
IMPORT: Final = """\
import importlib, pathlib, sys
site = pathlib.Path(next(path for path in sys.path if path.startswith("/usr/lib/powerd/")))
for library in site.rglob("*.so"):
    importlib.import_module(".".join(library.relative_to(site).with_name(library.name.partition(".")[0]).parts))
import icalendar, recurring_ical_events, zoneinfo
zoneinfo.ZoneInfo("Europe/Berlin")
"""
"""Loads the libraries in C, and those that only child processes use."""


class Machine(NamedTuple):
    """A booted system.

    Attributes:
        server: the container.
        package: the path of powerd's package in it.
        files: before the installation, as files_of().
    """

    server: Booted
    package: str
    files: set[str]

    def apt(self, *arguments: str) -> str:
        return self.server.run("apt-get", "--yes", "--quiet", *arguments)

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            self.server.run("powerd", "status", "--json", check=False) or "{}"
        )
        return answer

    def is_ready(self) -> bool:
        return self.status().get("state") not in {None, "starting"}


def files_of(root: Path) -> set[str]:
    """The paths of all files that belong to programs and configuration."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_symlink() or path.is_file())
    return {str(path) for path in found if not str(path).startswith(UNRELATED)}


def space_of(server: Booted) -> int:
    """Bytes in blocks of 4 KiB, as du(1) counts them, of what the package has installed and compiled."""
    listed = {server.root / path.lstrip("/") for path in server.run("dpkg", "-L", "powerd").splitlines()}
    paths = listed | set((server.root / "usr/lib/powerd").rglob("*"))
    return sum(-(-path.lstat().st_size // 4096) * 4096 for path in paths)


@pytest.fixture(scope="module", params=RELEASES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    release = request.param
    scratch = tmp_path_factory.mktemp(release)
    package = build(release)
    with Lan(scratch) as lan, Booted(scratch, lan.server.inside, cached_root(release, BASE)) as server:
        shutil.copy(package, server.root / "root")
        server.lay("etc/dpkg/dpkg.cfg.d/no-sync", "force-unsafe-io\n")
        path = f"/root/{package.name}"
        download = "apt-get -qq --yes --download-only install"
        for command in ("apt-get -qq update", f"{download} {path}", f"{download} {BUILD}"):
            subprocess.run(["chroot", server.root, *command.split()], check=True, capture_output=True)
        source(server.root / "root/powerd", "config", "contrib")
        recipe = recipe_of(release)
        assert recipe is not None
        shutil.copytree(dependencies(recipe, scratch), server.root / "root/wheels")
        server.boot()
        yield Machine(server, path, files_of(server.root))


def test_lintian_finds_no_error(machine: Machine) -> None:
    package = REPOSITORY / "dist" / Path(machine.package).name
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error", package], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_one_command_installs_everything(machine: Machine) -> None:
    printed = machine.apt("install", machine.package)
    assert "observe mode" in printed
    until(machine.is_ready, "the daemon decides")
    assert machine.status()["mode"] == "observe"
    assert machine.server.run("powerd", "why")
    page = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8787/').status)"
    assert machine.server.run("python3", "-c", page) == "200"
    assert machine.server.run("powerd", "disks")  # through the helper's socket
    assert machine.server.run("systemctl", "is-active", "powerd-helper.socket") == "active"
    assert machine.server.run("systemctl", "is-enabled", "smartmontools", check=False) == "masked"
    assert (machine.server.root / "usr/sbin/smartctl").exists()


def test_it_is_small_and_lacks_nothing(machine: Machine) -> None:
    python = "/usr/lib/powerd/bin/python3"
    assert space_of(machine.server) <= SPACE
    machine.server.run(python, "-I", "-c", IMPORT)
    message = {"urls": ["json://127.0.0.1:9"], "title": "test", "body": "test", "severity": "note"}
    send = f"echo '{json.dumps({'messages': [message]})}' | {python} -I -m powerd.messages.apprise_child"
    assert json.loads(machine.server.run("sh", "-c", send)) == [["the connection was refused"]]


def test_an_upgrade_keeps_configuration_requests_and_a_hold(machine: Machine) -> None:
    server = machine.server
    server.lay("etc/powerd/powerd.toml", CONFIG)
    server.run("systemctl", "reload", "powerd")
    server.run("powerd", "keep", "3h", "--because", "backup")
    server.run("systemctl", "enable", "--now", "powerd-files.socket")  # as level "files" needs it
    server.run(
        "systemd-run", "--quiet", "--unit=work", "powerd", "hold", "--because=work", "--", "sleep", "infinity"
    )

    def requests() -> set[str]:
        rows = json.loads(server.run("powerd", "keep", "--list", "--json", check=False) or "[]")
        return {row["because"] for row in rows}

    until(lambda: requests() == {"backup", "work"}, "both requests are in force")
    daemon = server.run("systemctl", "show", "--value", "--property=MainPID", "powerd")
    machine.apt("install", "--reinstall", machine.package)
    until(machine.is_ready, "the new daemon decides")
    assert server.run("systemctl", "show", "--value", "--property=MainPID", "powerd") != daemon
    assert (server.root / "etc/powerd/powerd.toml").read_text() == CONFIG
    until(lambda: requests() == {"backup", "work"}, "both requests are in force again")
    assert server.run("systemctl", "is-active", "powerd-files.socket") == "active"
    server.run("systemctl", "stop", "work")


def test_the_package_replaces_an_installation_in_opt(machine: Machine) -> None:
    server = machine.server
    if "deb12" not in machine.package:
        pytest.skip("the modules of this Python do not fit the release")
    machine.apt("purge", "powerd")  # its dependencies stay, which the earlier installation needs too
    server.install_powerd()
    server.lay("etc/powerd/powerd.toml", CONFIG)
    server.run("ln", "-sf", "/opt/powerd/bin/powerd", "/usr/local/bin/powerd")
    server.run("systemctl", "daemon-reload")
    server.run("systemctl", "enable", "--now", "powerd-helper.socket", "powerd")
    until(machine.is_ready, "the earlier daemon decides")
    server.run("powerd", "keep", "3h", "--because", "backup")
    machine.apt("install", machine.package)
    until(machine.is_ready, "the daemon of the package decides")
    assert "/usr/lib/powerd/" in server.run("systemctl", "cat", "powerd", "powerd-helper.service")
    assert "/opt/powerd/" not in server.run("systemctl", "cat", "powerd", "powerd-helper.service")
    assert server.run("sh", "-c", "command -v powerd") == "/usr/bin/powerd"
    assert (server.root / "etc/powerd/powerd.toml").read_text() == CONFIG
    assert "backup" in server.run("powerd", "keep", "--list")


def test_a_purge_leaves_nothing_of_powerd(machine: Machine) -> None:
    machine.server.run("rm", "-rf", "/opt/powerd")  # which the installation names, and leaves to its owner
    machine.apt("purge", "--auto-remove", "powerd")
    left = files_of(machine.server.root) - machine.files
    assert not [path for path in left if "powerd" in path or "smartmontools" in path], sorted(left)
    assert machine.server.run("getent", "passwd", "powerd", check=False) == ""
    assert machine.server.run("getent", "group", "powerd", check=False) == ""
    assert machine.server.run("systemctl", "list-units", "--all", "--no-legend", "powerd*") == ""


def test_the_script_installs_upgrades_and_removes(machine: Machine) -> None:
    """contrib/install, for distributions without a package; again, with what it has installed running."""
    server = machine.server

    def install(*options: str) -> str:
        pip = ("PIP_NO_INDEX=1", "PIP_FIND_LINKS=/root/wheels")
        return server.run("env", *pip, "/root/powerd/contrib/install", *options)

    def daemon() -> str:
        return server.run("systemctl", "show", "--value", "--property=MainPID", "powerd")

    assert "powerd is running" in install()
    until(machine.is_ready, "the daemon decides")
    assert machine.status()["mode"] == "observe"
    assert server.run("powerd", "disks")  # through the helper's socket
    assert server.run("systemctl", "is-enabled", "powerd") == "enabled"
    server.lay("etc/powerd/powerd.toml", CONFIG)
    server.run("powerd", "reload")
    server.run("powerd", "keep", "3h", "--because", "backup")
    first, files = daemon(), files_of(server.root)
    install()
    until(machine.is_ready, "the new daemon decides")
    assert daemon() != first
    assert (server.root / "etc/powerd/powerd.toml").read_text() == CONFIG
    assert "backup" in server.run("powerd", "keep", "--list")
    assert {path for path in files_of(server.root) ^ files if "__pycache__" not in path} == set()
    install("--remove")
    left = files_of(server.root) - machine.files
    assert not [path for path in left if "powerd" in path], sorted(left)
    assert server.run("getent", "passwd", "powerd", check=False) == ""
    assert server.run("systemctl", "list-units", "--all", "--no-legend", "powerd*") == ""
