from __future__ import annotations

import pytest
from doctor.server import Server

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def swaps(server: Server, *rows: str) -> None:
    server.put("/proc/swaps", HEAD + "".join(f"{row}\n" for row in rows))


def test_a_partition_a_file_and_compressed_memory(server: Server) -> None:
    assert server.diagnose("swap") == []
    swaps(
        server,
        "/dev/sda1 partition 975868 5120 -2",
        "/swap\\040file file 1048572 0 -3",
        "/dev/zram0 partition 4000000 2000 100",
        "/dev/sdb1 partition 975868 5120 -2",
    )
    server.put("/etc/fstab", "# /swap file\nUUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n")
    partition, file = server.diagnose("swap")
    assert (partition.id, partition.disks) == ("swap:/dev/sda1", ("sda",))
    assert "5120 KiB" in partition.effect
    assert partition.by_hand == "swapoff /dev/sda1\n/etc/fstab, line 3, put # before: UUID=2 none swap sw 0 0"
    assert file.id == "swap:/swap file"
    assert "not in use" in file.effect


@pytest.mark.parametrize("rows", [[""], ["/dev/sda1"], ["garbage", "/dev/nowhere partition x y z"]])
def test_an_odd_table(server: Server, rows: list[str]) -> None:
    swaps(server, *rows)
    assert len(server.diagnose("swap")) == ("/dev/sda1" in rows)
