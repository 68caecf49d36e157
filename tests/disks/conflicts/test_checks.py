from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rig.hardware import Hardware

from powerd.disks.conflicts.checks import find_conflicts
from powerd.linux.files import HostFiles

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
    machine = HostFiles(hardware.root)
    try:
        return asyncio.run(find_conflicts(machine))
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
    ("path", "text", "message"),
    [
        ("/etc/default/hd-idle", 'START_HD_IDLE="true"\n', "hd-idle spins disks down as well"),
        (f"{UNITS}/hd-idle.service/cgroup.procs", "", "hd-idle spins disks down as well"),
        (
            "/sys/fs/cgroup/systemd/system.slice/hd-idle.service/cgroup.procs",
            "",
            "hd-idle spins disks down as well",
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
        (f"{UNITS}/udisks2.service/cgroup.procs", "", "udisks2 reads the SMART values of disks"),
        (f"{UNITS}/atop.service/cgroup.procs", "", "atop writes to its log every few minutes"),
    ],
)
def test_each_is_named_with_its_remedy(hardware: Hardware, path: str, text: str, message: str) -> None:
    hardware.put(path, text)
    (only,) = found(hardware)
    assert only.startswith(message)
    assert ";" in only


def test_hd_idle_that_is_switched_off_is_none(hardware: Hardware) -> None:
    hardware.put("/etc/default/hd-idle", "START_HD_IDLE=false\n")
    assert found(hardware) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/dev/sda -a -n standby,q\nDEVICESCAN -n standby,q\n", []),
        ("# DEVICESCAN\n", []),
        ("DEFAULT -n standby\n/dev/sda -a\n", ["/dev/sda: smartd logs that a disk is in standby"]),
        # Debian's own line.
        (
            "DEVICESCAN -d removable -n standby -m root -M exec /usr/share/smartmontools/smartd-runner\n",
            ["DEVICESCAN: smartd logs that a disk is in standby"],
        ),
        (
            "/dev/sda -a\n/dev/sdb -n never\n/dev/sdc -n standby\n/dev/sdd -n standby,q\n",
            [
                "/dev/sda, /dev/sdb: smartd starts stopped disks",
                "/dev/sdc: smartd logs that a disk is in standby",
            ],
        ),
    ],
)
@pytest.mark.parametrize("unit", ["smartmontools.service", "smartd.service"])
def test_a_smartd_that_disturbs_sleeping_disks(
    hardware: Hardware, unit: str, text: str, message: list[str]
) -> None:
    hardware.put("/etc/smartd.conf", text)
    assert found(hardware) == [], "it does not run"
    hardware.put(f"{UNITS}/{unit}/cgroup.procs", "")
    texts = found(hardware)
    assert len(texts) == len(message)
    for one, beginning in zip(texts, message, strict=True):
        assert one.startswith(f"smartd.conf: {beginning}")
        assert one.endswith(f"systemctl disable --now {unit}, or give it -n standby,q")


def test_scrutiny_is_found_between_its_runs_and_in_one(hardware: Hardware) -> None:
    timers = hardware.root / "etc/systemd/system/timers.target.wants"
    timers.mkdir(parents=True)
    assert found(hardware) == []
    (timers / "scrutiny-collector.timer").symlink_to("/etc/systemd/system/scrutiny-collector.timer")
    (only,) = found(hardware)
    assert only.startswith("scrutiny starts stopped disks")
    (timers / "scrutiny-collector.timer").unlink()
    hardware.put(f"{UNITS}/scrutiny-collector.service/cgroup.procs", "")
    assert found(hardware) == [only]


def test_a_telegraf_is_named_only_where_it_asks_disks(hardware: Hardware) -> None:
    hardware.put("/etc/telegraf/telegraf.conf", "[[inputs.cpu]]\n# [[inputs.smart]]\n[[inputs.smart_x]]\n")
    hardware.put("/etc/telegraf/telegraf.d/disks.conf", "  [[ inputs.smartctl ]]\n")
    assert found(hardware) == [], "it does not run"
    hardware.put(f"{UNITS}/telegraf.service/cgroup.procs", "")
    (only,) = found(hardware)
    assert only.startswith("/etc/telegraf/telegraf.d/disks.conf: telegraf reads the SMART values of disks")


def test_the_kernel_s_own_disks(hardware: Hardware) -> None:
    hardware.sysfs("sda", "device/power/control", "auto")
    assert found(hardware) == [], "it has no delay, so it is never suspended"
    hardware.sysfs("sda", "device/power/autosuspend_delay_ms", "900000")
    assert found(hardware)[0].startswith("sda: the kernel spins it down by itself")


def test_an_unreadable_file_is_reported(hardware: Hardware) -> None:
    hardware.put("/etc/tlp.conf", "")
    hardware.at("/etc/tlp.conf").unlink()
    hardware.at("/etc/tlp.conf").symlink_to("/proc/self/mem")
    assert any("cannot check for other programs" in text for text in found(hardware))
