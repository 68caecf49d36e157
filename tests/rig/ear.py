"""Hears what arrives at a host of the LAN on UDP port 9, where magic packets go."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Final

from rig.lan import Host

_EAR: Final = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
    ear.bind(("", 9))
    print("listens", flush=True)
    for _ in range(int(sys.argv[1])):
        print(ear.recv(2000).hex(), flush=True)
"""


@contextlib.contextmanager
def listening(host: Host, packets: int = 3) -> Iterator[Callable[[], list[bytes]]]:
    """From now on ``host`` hears; what is given back waits for these packets, 10 s at most."""
    argv = [*host.inside.prefix(), sys.executable, "-c", _EAR, str(packets)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as ear:
        try:
            assert ear.stdout is not None
            assert ear.stdout.readline() == "listens\n"
            yield lambda: [bytes.fromhex(line) for line in ear.communicate(timeout=10)[0].split()]
        finally:
            ear.kill()
