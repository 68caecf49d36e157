"""Installs powerd on a copy of the image as the README describes, from wheels and without a network."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from vm.image import CACHE, Image, alone
from vm.recipe import CONTAINER_DISK, Recipe
from vm.run import lay, run

_TESTS: Final = Path(__file__).parents[1]
REPOSITORY: Final = _TESTS.parent
PYTHON: Final = "/usr/bin/python3"
"""Debian's own, here and on the image."""
_PIP: Final = ("-m", "pip", "--quiet")
_BUILDER_PACKAGES: Final = "python3-venv,python3-dev,gcc,pkg-config,libsystemd-dev"
_CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
_CONTRIB: Final = REPOSITORY / "contrib" / "systemd"
_PLACES: Final = {
    _CONTRIB / "powerd.sysusers": "etc/sysusers.d/powerd.conf",
    _CONTRIB / "powerd.tmpfiles": "etc/tmpfiles.d/powerd.conf",
    _CONTRIB / "powerd.rules": "etc/polkit-1/rules.d/50-powerd.rules",
    **{
        unit: f"etc/systemd/system/{unit.name}"
        for unit in (*_CONTRIB.glob("*.service"), *_CONTRIB.glob("*.socket"))
    },
    REPOSITORY / "config" / "powerd.toml": "etc/powerd/powerd.toml",
}
_PATIENCE: Final = {
    "etc/systemd/logind.conf.d/patience.conf": "[Login]\nInhibitDelayMaxSec=60\n",
    "etc/systemd/system/powerd.service.d/patience.conf": "[Service]\nTimeoutStartSec=10min\n",
}
"""An emulated processor may need more than the 5 s of logind to start the helper and set an alarm."""
_SOURCE: Final = ("pyproject.toml", "README.md", "LICENSE", "powerd")


def with_powerd(image: Image, recipe: Recipe, scratch: Path) -> Image:
    """A copy of ``image`` with the powerd of this tree; only the helper's socket is started at boot."""
    wheels = scratch / "wheels"
    shutil.copytree(dependencies(recipe, scratch), wheels)
    run(_builder(scratch), *_PIP, "wheel", f"--wheel-dir={wheels}", "--no-deps", source(scratch / "source"))
    disk, mounted = scratch / "powerd.img", scratch / "mounted"
    run("cp", "--sparse=always", image.disk, disk)
    # In a mount namespace of its own: another namespace that is made meanwhile copies all mounts, so the
    # file system would stay mounted there, with unwritten data, after it is unmounted here.
    run("unshare", "--mount", "env", f"PYTHONPATH={_TESTS}", sys.executable, "-m", "vm.install",
        disk, mounted, wheels)  # fmt: skip
    return replace(image, disk=disk)


def main(disk: Path, mounted: Path, wheels: Path) -> None:
    """Install these wheels, the units and the configuration on the file system in ``disk``."""
    with _mounted(disk, mounted) as root:
        shutil.copytree(wheels, root / "tmp" / "wheels")
        run("chroot", root, PYTHON, "-m", "venv", "/opt/powerd")
        pip = ("/opt/powerd/bin/pip", "--isolated", "--quiet", "install", "--no-index")
        run("chroot", root, *pip, "--find-links=/tmp/wheels", "powerd[systemd]")
        shutil.rmtree(root / "tmp" / "wheels")
        for source, place in _PLACES.items():
            run("install", "-D", "--mode=644", source, root / place)
        for path, text in _PATIENCE.items():
            lay(root, path, text)
        run("chroot", root, "ln", "-s", "/opt/powerd/bin/powerd", "/usr/local/bin/powerd")
        run("chroot", root, "systemd-sysusers")  # systemd-tmpfiles needs /proc, so it runs at the boot
        run("chroot", root, "systemctl", "enable", "powerd-helper.socket")
        with _mounted(root / CONTAINER_DISK.lstrip("/"), mounted.with_name("container")) as container:
            run("cp", "--archive", root / "opt" / "powerd", container / "opt")
            run("chroot", container, "ln", "-s", "/opt/powerd/bin/powerd", "/usr/local/bin/powerd")


def source(copy: Path, *names: str) -> Path:
    """Make the directory ``copy`` with the sources of the wheel, and with ``names`` besides.

    setuptools leaves files where it builds, and reuses them.
    """
    copy.mkdir()
    for name in (*_SOURCE, *names):
        run("cp", "--recursive", REPOSITORY / name, copy)
    return copy


def dependencies(recipe: Recipe, scratch: Path) -> Path:
    """A directory with the wheels of powerd's dependencies and of its build system.

    They are cached until pyproject.toml changes.

    Args:
        recipe: of the system that the wheels are for.
        scratch: an empty directory.
    """
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    extra: list[str] = project["project"]["optional-dependencies"]["systemd"]
    wanted = [*project["project"]["dependencies"], *extra, *project["build-system"]["requires"]]
    stored = CACHE / f"wheels-{hashlib.sha256(repr((recipe.release, wanted)).encode()).hexdigest()[:16]}"
    with alone():
        if not stored.exists():
            if recipe.is_of_this_machine:
                fresh = scratch / "dependencies"
                run(_builder(scratch), *_PIP, "wheel", f"--wheel-dir={fresh}", *wanted)
            else:
                fresh = _build_elsewhere(recipe, scratch, wanted)
            shutil.move(fresh, stored)
        os.utime(stored)
    return stored


def _build_elsewhere(recipe: Recipe, scratch: Path, wanted: list[str]) -> Path:
    """Wheels for the Python of another release, built in a root directory of that release."""
    root, sources = scratch / "elsewhere", scratch / "elsewhere.sources"
    sources.write_text(recipe.sources)
    options = ("--quiet", "--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io")
    run("mmdebstrap", *options, f"--include={_BUILDER_PACKAGES}", recipe.release, root, sources)
    for path in ("/etc/resolv.conf", _CERTIFICATES):
        if Path(path).exists():
            run("install", "-D", "--mode=644", path, root / path.lstrip("/"))
    run("chroot", root, PYTHON, "-m", "venv", "/opt/builder")
    run("chroot", root, "/opt/builder/bin/python", *_PIP, "wheel", "--wheel-dir=/opt/wheels", *wanted)
    return root / "opt" / "wheels"


def _builder(scratch: Path) -> Path:
    """A Python with pip."""
    python = scratch / "builder" / "bin" / "python"
    if not python.exists():
        run(PYTHON, "-m", "venv", python.parents[1])
    return python


@contextlib.contextmanager
def _mounted(disk: Path, at: Path) -> Iterator[Path]:
    """Mount the file system in the file ``disk`` by a loop device, which is removed with the mount."""
    at.mkdir()
    run("mount", "-o", "loop", disk, at)
    try:
        yield at
    finally:
        run("umount", at)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
