from __future__ import annotations

from doctor.server import Server


def test_while_the_thread_exists(server: Server) -> None:
    assert server.diagnose("ext4_lazyinit") == []
    server.put("/proc/7/comm", "ext4-rsv-conver\n")
    server.put("/proc/self/comm", "ext4lazyinit\n")
    assert server.diagnose("ext4_lazyinit") == []
    server.put("/proc/77/comm", "ext4lazyinit\n")
    (diagnosis,) = server.diagnose("ext4_lazyinit")
    assert diagnosis.by_hand == "mount -o remount,init_itable=0 /"


def test_only_an_ssd_is_written(server: Server) -> None:
    server.put("/proc/77/comm", "ext4lazyinit\n")
    server.put("/proc/self/mountinfo", "22 1 8:17 / / rw shared:1 - ext4 /dev/sdb1 rw\n")
    assert server.diagnose("ext4_lazyinit") == []
