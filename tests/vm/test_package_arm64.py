"""The Debian package on arm64, whose programs qemu-user executes; it takes minutes: make test-arm64."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from rig.boot import Booted
from rig.lan import Lan
from vm.package import build, cached_root

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif("POWERD_ARM64" not in os.environ, reason="takes minutes: make test-arm64"),
    pytest.mark.skipif(
        not Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists(),
        reason="the kernel executes no programs of arm64: make test-arm64",
    ),
]

PACKAGES: Final = ("systemd", "python3", "python3-systemd", "libudev1")
USE: Final = """\
set -e
mkdir -p /run/powerd
uname -m
powerd --version
powerd check >&2
powerd run --observe >&2 &
until powerd status --json >/tmp/status && ! grep -q '"state": "starting"' /tmp/status; do kill -0 $!; done
powerd why >&2
tr -d '\\n' </tmp/status
kill $!
wait $!
"""


def test_it_is_installed_and_observes(tmp_path: Path) -> None:
    package = build("bookworm", "arm64")
    root = cached_root("bookworm", PACKAGES, "arm64")
    with Lan(tmp_path) as lan, Booted(tmp_path, lan.server.inside, root) as machine:
        shutil.copy(package, machine.root / "root")
        install = f"apt-get -qq --yes --no-install-recommends install /root/{package.name}"
        for command in ("apt-get -qq update", install):
            subprocess.run(["chroot", machine.root, *command.split()], check=True, capture_output=True)
        done = subprocess.run(
            [
                *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe"),
                f"--network-namespace-path=/run/netns/{lan.server.inside.name}",
                *(f"--directory={machine.root}", "sh", "-c", USE),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    processor, version, status = done.stdout.splitlines()
    assert (processor, version.split()[0]) == ("aarch64", "powerd")
    assert json.loads(status)["mode"] == "observe"
