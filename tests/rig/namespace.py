"""Moves a thread of the test into a network namespace, and adds addresses of many hosts to one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from rig.lan import Host

_CLONE_NEWNET: Final = 0x40000000


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Be in ``namespace`` with this thread (setns(2)): sockets opened here belong to it for good."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(Path("/run/netns", namespace), os.O_RDONLY)
    try:
        _enter(libc, there)
        try:
            yield
        finally:
            _enter(libc, home)
    finally:
        os.close(there)
        os.close(home)


def _enter(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def populate(host: Host, addresses: Iterable[str]) -> None:
    """Add many addresses (with prefix length) to one machine, which then appears as many hosts."""
    batch = "".join(f"address add {address} dev eth0\n" for address in addresses)
    subprocess.run(["ip", "-n", host.inside.name, "-b", "-"], input=batch, text=True, check=True)
