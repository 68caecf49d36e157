from __future__ import annotations

import pytest
from doctor.server import Server

EXPIRE = "/proc/sys/vm/dirty_expire_centisecs"
INTERVAL = "/proc/sys/vm/dirty_writeback_centisecs"


@pytest.mark.parametrize(
    ("expire", "interval", "applies"),
    [
        ("3000", "500", False),
        ("60000", "500", True),
        ("3000", "6000", True),
        ("3000", "0", True),
        ("1500", "1500", False),
    ],
)
def test_what_waits_longer_than_powerd_watches(
    server: Server, expire: str, interval: str, *, applies: bool
) -> None:
    server.put(EXPIRE, f"{expire}\n")
    server.put(INTERVAL, f"{interval}\n")
    if applies:
        server.check_fix("writeback")
        assert server.at(EXPIRE).read_text() == f"{expire}\n"
    assert bool(server.diagnose("writeback")) is applies


def test_a_kernel_that_does_not_show_it(server: Server) -> None:
    assert server.diagnose("writeback") == []
