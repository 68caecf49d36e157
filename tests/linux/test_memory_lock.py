"""Memory is locked for real, in a child process: this one would stay as large as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest

pytestmark = pytest.mark.process

LOCK: Final = """
import ctypes  # before the change of the user, who may not read the interpreter's files
import os, resource, sys
from pathlib import Path
from powerd.linux.memory_lock import lock_memory
from powerd.linux.values import HostError
if sys.argv[1] == "limited":
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.geteuid() == 0:  # root is not limited
        os.setresuid(65534, 65534, 65534)
try:
    lock_memory()
except HostError as error:
    print(error)
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmLck:")))
"""


def run(kind: str) -> list[str]:
    """What the child prints: its error, and the KiB that are locked."""
    child = subprocess.run([sys.executable, "-c", LOCK, kind], capture_output=True, text=True, check=True)
    return child.stdout.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may lock as much as it likes")
def test_all_that_is_mapped_is_locked() -> None:
    (locked,) = run("unlimited")
    assert int(locked) > 8 << 10


def test_a_limit_is_one_sentence() -> None:
    error, locked = run("limited")
    assert "LimitMEMLOCK" in error
    assert locked == "0"
