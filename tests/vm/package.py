"""The Debian package, and minimal systems to install it on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rig.boot import REPOSITORY
from vm.image import CACHE, alone
from vm.run import run


def build(release: str, architecture: str = "amd64") -> Path:
    """The package for a release, e.g. ``bookworm``, as ``make deb`` builds it."""
    command = ["contrib/debian/build", release, architecture]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return REPOSITORY / done.stdout.strip()


def cached_root(release: str, packages: Sequence[str], architecture: str = "amd64") -> Path:
    """A minimal root directory of the release; made once and kept beside the images of the virtual server."""
    name = f"container-{release}" + ("" if architecture == "amd64" else f"-{architecture}")
    stored = CACHE / name
    with alone():
        if not stored.exists():
            new = CACHE / f"new-{name}"
            shutil.rmtree(new, ignore_errors=True)
            options = ("--quiet", "--mode=root", "--variant=minbase", f"--arch={architecture}")
            run("mmdebstrap", *options, f"--include={','.join(packages)}", release, new)
            new.rename(stored)
        os.utime(stored)
    return stored
