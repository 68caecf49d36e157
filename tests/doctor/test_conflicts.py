from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rig.hardware import Hardware

from powerd.doctor.conflicts import conflicts, smartd_lines
from powerd.host.machine import Machine

UNITS = "/sys/fs/cgroup/system.slice"


@pytest.fixture
def hardware(tmp_path: Path) -> Hardware:
    hardware = Hardware(tmp_path)
    name = hardware.sata(0, "WD-1")
    links = tmp_path / "dev/disk/by-id"
    links.mkdir(parents=True)
    (tmp_path / "dev/sda").touch()
    for link in (f"wwn-0x{1:016x}", name):
        (links / link).symlink_to("../../sda")
    return hardware


def found(hardware: Hardware) -> list[str]:
    machine = Machine(hardware.root)
    try:
        return asyncio.run(conflicts(machine))
    finally:
        machine.close()


def test_a_machine_of_its_own_has_none(hardware: Hardware) -> None:
    assert found(hardware) == []


def test_a_machine_without_a_spinning_disk_has_none(hardware: Hardware) -> None:
    hardware.put("/etc/tlp.conf", 'DISK_APM_LEVEL_ON_AC="254 254"\n')
    hardware.sysfs("sda", "queue/rotational", "0")
    assert found(hardware) == []


def test_hdparm_conf_is_offered_as_rules(hardware: Hardware) -> None:
    hardware.put("/etc/hdparm.conf", "/dev/sda {\n spindown_time = 240\n}\n")
    (text,) = found(hardware)
    assert text.startswith("/etc/hdparm.conf sets timers or APM of disks")
    assert 'match = ["ata-WDC_WD20EFRX-68EUZN0_WD-1"]\nspin_down_after = "20min"\nmethod = "timer"' in text


def test_hdparm_conf_may_name_a_disk_by_its_link_already(hardware: Hardware) -> None:
    hardware.put("/etc/hdparm.conf", "/dev/disk/by-id/ata-gone {\n apm = 127\n}\n")
    assert 'match = ["ata-gone"]' in found(hardware)[0]


def test_an_hdparm_conf_without_a_block_does_nothing(hardware: Hardware) -> None:
    hardware.put("/etc/hdparm.conf", "quiet\napm = 127\n")
    assert found(hardware) == []


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("/etc/default/hd-idle", 'START_HD_IDLE="true"\n', "hd-idle spins disks down too"),
        (f"{UNITS}/hd-idle.service/cgroup.procs", "", "hd-idle spins disks down too"),
        (
            "/sys/fs/cgroup/systemd/system.slice/hd-idle.service/cgroup.procs",
            "",
            "hd-idle spins disks down too",
        ),
        (
            "/etc/tlp.d/10-disks.conf",
            'DISK_SPINDOWN_TIMEOUT_ON_BAT="60"\n#DISK_APM_LEVEL_ON_AC="1"\n',
            "/etc/tlp.d/10-disks.conf: TLP sets DISK_SPINDOWN_TIMEOUT_ON_BAT",
        ),
        (
            "/etc/udisks2/WDC-1.conf",
            "[ATA]\nStandbyTimeout=240\n",
            "/etc/udisks2/WDC-1.conf: udisks sets StandbyTimeout",
        ),
        (f"{UNITS}/udisks2.service/cgroup.procs", "", "udisks2 asks disks for their SMART values"),
    ],
)
def test_each_is_named_with_its_remedy(hardware: Hardware, path: str, text: str, said: str) -> None:
    hardware.put(path, text)
    (only,) = found(hardware)
    assert only.startswith(said)
    assert ";" in only


def test_hd_idle_that_is_switched_off_is_none(hardware: Hardware) -> None:
    hardware.put("/etc/default/hd-idle", "START_HD_IDLE=false\n")
    assert found(hardware) == []


@pytest.mark.parametrize(
    ("text", "careless"),
    [
        ("DEVICESCAN -d removable -n standby -m root\n", None),
        ("DEVICESCAN -m root\n", "DEVICESCAN"),
        ("/dev/sda -a -n never\n/dev/sdb -n standby,q\n", "/dev/sda"),
        ("DEFAULT -n standby\n/dev/sda -a\n", None),
        ("# DEVICESCAN\n", None),
    ],
)
def test_a_smartd_that_does_not_look_first(hardware: Hardware, text: str, careless: str | None) -> None:
    hardware.put("/etc/smartd.conf", text)
    assert found(hardware) == [], "it does not run"
    hardware.put(f"{UNITS}/smartmontools.service/cgroup.procs", "")
    told = found(hardware)
    assert (told[0].startswith(f"smartd.conf: {careless} without -n") if told else None) is (
        True if careless else None
    )


def test_smartd_s_lines() -> None:
    text = "/dev/sda -a \\\n  -n standby # no comment\nDEFAULT -H\n\n/dev/sdb\nDEVICESCAN\n/dev/sdc\n"
    assert [" ".join(line.split()) for line in smartd_lines(text)] == [
        "/dev/sda -a -n standby",
        "/dev/sdb -H",
        "DEVICESCAN -H",
    ]


def test_the_kernel_s_own_disks(hardware: Hardware) -> None:
    hardware.sysfs("sda", "device/power/control", "auto")
    assert found(hardware) == [], "it has no delay, so it is never suspended"
    hardware.sysfs("sda", "device/power/autosuspend_delay_ms", "900000")
    assert found(hardware)[0].startswith("sda: the kernel spins it down by itself")


def test_what_may_not_be_read_is_said(hardware: Hardware) -> None:
    hardware.put("/etc/tlp.conf", "")
    hardware.at("/etc/tlp.conf").unlink()
    hardware.at("/etc/tlp.conf").symlink_to("/proc/self/mem")
    assert any("cannot look for what else gives disks orders" in text for text in found(hardware))
