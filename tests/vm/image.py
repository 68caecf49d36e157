"""The disk of the virtual server: a minimal Debian that is made once and cached.

It is cached outside of this tree, in ``POWERD_VM_CACHE`` or ~/.cache/powerd-vm, one directory per recipe.
A new one replaces those that have not been used. Two test runs that need the same image make it once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vm.recipe import CONTAINER_DISK, Recipe
from vm.run import lay, run

CACHE: Final = Path(os.environ.get("POWERD_VM_CACHE") or Path.home() / ".cache" / "powerd-vm")
_SIZE: Final = "3G"
_UNUSED: Final = 3 * 86_400.0
"""Seconds without use after which an image is removed."""


@dataclass(frozen=True)
class Image:
    """The files that QEMU boots.

    Attributes:
        kernel, initrd: from the image's kernel package.
        disk: a raw ext4 root file system; QEMU writes to an overlay only.
    """

    kernel: Path
    initrd: Path
    disk: Path


def cached(recipe: Recipe) -> Image:
    """The image of ``recipe``; the first call makes it, which takes a minute or two."""
    stored = CACHE / recipe.key
    with alone():
        if not stored.exists():
            with tempfile.TemporaryDirectory(prefix="new-", dir=CACHE) as new:
                _build(recipe, Path(new))
                Path(new, "image").rename(stored)  # atomic, in case of an interruption
        os.utime(stored)
        for path in CACHE.iterdir():
            if path.is_dir() and path.stat().st_mtime < time.time() - _UNUSED:
                shutil.rmtree(path)
    return Image(stored / "vmlinuz", stored / "initrd.img", stored / "root.img")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Lock the cache against other test runs."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(recipe: Recipe, new: Path) -> None:
    """Make ``new/image`` with kernel, initial RAM disk and root file system."""
    root, image, before, container = (new / name for name in ("root", "image", "before", "container"))
    sources = new / "debian.sources"
    sources.write_text(recipe.sources)
    for name, text in recipe.before:
        lay(before, name, text)
    with ThreadPoolExecutor() as pool:
        other = pool.submit(_install, recipe, recipe.container_packages, container, sources)
        _install(recipe, recipe.packages, root, sources, f"--essential-hook=copy-in {before}/etc /")
        other.result()
    _make_file_system(root / CONTAINER_DISK.lstrip("/"), container, str(recipe.container_size))
    for name, text in recipe.files:
        lay(root, name, text)
    run("chroot", root, "systemctl", "enable", *recipe.enabled)
    run("chroot", root, "systemctl", "mask", *recipe.masked)
    run("chroot", root, "systemctl", "disable", *recipe.disabled)
    image.mkdir()
    for name in ("vmlinuz", "initrd.img"):
        (newest,) = (root / "boot").glob(f"{name}-*")
        shutil.copy(newest, image / name)
    _make_file_system(image / "root.img", root, _SIZE)


def _install(recipe: Recipe, packages: tuple[str, ...], root: Path, sources: Path, *options: str) -> None:
    """Make a Debian in the directory ``root``."""
    run(
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}"),
        *(f"--dpkgopt=path-exclude={path}" for path in recipe.unread),
        "--dpkgopt=force-unsafe-io",
        *options,
        *(recipe.release, root, sources),
    )


def _make_file_system(disk: Path, root: Path, size: str) -> None:
    """Make a raw ext4 file system of ``root``, which leaves the kernel nothing to initialise."""
    disk.parent.mkdir(parents=True, exist_ok=True)
    run("truncate", "--size", size, disk)
    run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", root, disk)
