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
    assert text.startswith("/etc/hdparm.conf ")
    assert 'match = ["ata-WDC_WD20EFRX-68EUZN0_WD-1"]\nspin_down_after = "20min"\nmethod = "timer"' in text


def test_hdparm_conf_may_name_a_disk_by_its_link_already(hardware: Hardware) -> None:
    hardware.put("/etc/hdparm.conf", "/dev/disk/by-id/ata-gone {\n apm = 127\n}\n")
    assert 'match = ["ata-gone"]' in found(hardware)[0]


def test_an_hdparm_conf_without_a_block_applies_to_every_disk(hardware: Hardware) -> None:
    hardware.put("/etc/hdparm.conf", "quiet\nspindown_time = 120\n# apm = 1\napm=127\n")
    timer, apm = found(hardware)
    assert timer.startswith("/etc/hdparm.conf, line 2: `spindown_time = 120` ")
    assert apm.startswith("/etc/hdparm.conf, line 4: `apm = 127` ")
    assert "powerd.toml" in timer


def test_an_hdparm_conf_that_sets_nothing_of_power_is_none(hardware: Hardware) -> None:
    hardware.put("/etc/hdparm.conf", "quiet\nwrite_cache = off\nlookahead = on\n")
    assert found(hardware) == []


@pytest.mark.parametrize(
    ("path", "text", "line", "call"),
    [
        (
            "/etc/udev/rules.d/69-hdparm.rules",
            '# disks\nACTION=="add", KERNEL=="sd[a-z]", \\\n  RUN+="/usr/bin/hdparm -B 127 -S 41 /dev/%k"\n',
            2,
            "hdparm -B 127 -S 41 /dev/%k",
        ),
        (
            "/etc/systemd/system/spindown.service",
            "[Service]\nExecStart=/sbin/hdparm -S120 /dev/sda\n",
            2,
            "hdparm -S120 /dev/sda",
        ),
        (
            "/etc/systemd/system/multi-user.target.d/x.conf",
            "[Service]\nExecStartPost=/bin/sh -c 'hdparm -qB254 /dev/sd?'\n",
            2,
            "hdparm -qB254 /dev/sd?",
        ),
        ("/etc/rc.local", "#!/bin/sh\nhdparm -B 127 /dev/sda; exit 0\n", 2, "hdparm -B 127 /dev/sda"),
        ("/etc/crontab", "*/5 * * * * root hdparm -y /dev/sdb\n", 1, "hdparm -y /dev/sdb"),
        ("/etc/cron.daily/disks", "#!/bin/sh\n\n/usr/sbin/hdparm -Y /dev/sdb\n", 3, "hdparm -Y /dev/sdb"),
        (
            "/var/spool/cron/crontabs/root",
            "@reboot hdparm -q -S 12 /dev/sda\n",
            1,
            "hdparm -q -S 12 /dev/sda",
        ),
        ("/usr/lib/systemd/system-sleep/disks", "hdparm -S 60 /dev/sda\n", 1, "hdparm -S 60 /dev/sda"),
        (
            "/etc/hdparm.conf",
            "command_line {\n    hdparm -q -S 12 /dev/sda\n}\n",
            2,
            "hdparm -q -S 12 /dev/sda",
        ),
    ],
)
def test_every_call_of_hdparm_with_an_order_is_named(
    hardware: Hardware, path: str, text: str, line: int, call: str
) -> None:
    hardware.put(path, text)
    (only,) = found(hardware)
    assert only.startswith(f"{path}, line {line}: `{call}` ")
    assert "delete it" in only


@pytest.mark.parametrize(
    "text",
    [
        "hdparm -C /dev/sda\n",
        "hdparm -I /dev/sda\n",
        "hdparm -tT /dev/sda\n",
        "hdparm --security-freeze /dev/sda\n",
        "hdparm -M 128 /dev/sda\n",
        "# hdparm -S 12 /dev/sda\n",
        "cat /etc/hdparm.conf -S\n",
        "my-hdparm -S 12\n",
        'RUN+="/usr/lib/udev/hdparm"\n',
        "hdparm -C /dev/sda; ls -S\n",
    ],
)
def test_other_calls_are_none(hardware: Hardware, text: str) -> None:
    hardware.put("/etc/cron.d/disks", text)
    assert found(hardware) == []


def test_a_file_that_is_reached_by_two_paths_is_named_once(hardware: Hardware) -> None:
    hardware.put("/usr/lib/udev/rules.d/99-x.rules", 'RUN+="hdparm -S 1 /dev/%k"\n')
    (hardware.root / "lib").symlink_to("usr/lib")
    assert len(found(hardware)) == 1


def test_a_script_that_is_no_text_is_read(hardware: Hardware) -> None:
    path = hardware.root / "etc/cron.daily/binary"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x7fELF\xff\xfe\0hdparm -C\0" * 99)
    assert found(hardware) == []


@pytest.mark.parametrize(
    ("path", "text", "terms"),
    [
        ("/etc/default/hd-idle", 'START_HD_IDLE="true"\n', ["hd-idle"]),
        (f"{UNITS}/hd-idle.service/cgroup.procs", "", ["hd-idle"]),
        ("/sys/fs/cgroup/systemd/system.slice/hd-idle.service/cgroup.procs", "", ["hd-idle"]),
        (
            "/etc/tlp.d/10-disks.conf",
            'DISK_SPINDOWN_TIMEOUT_ON_BAT="60"\n#DISK_APM_LEVEL_ON_AC="1"\n',
            ["/etc/tlp.d/10-disks.conf", "TLP", "DISK_SPINDOWN_TIMEOUT_ON_BAT"],
        ),
        (
            "/etc/laptop-mode/laptop-mode.conf",
            'CONTROL_HD_IDLE_TIMEOUT=1\nCONTROL_HD_POWERMGMT="auto"\n#CONTROL_HD_POWERMGMT=1\n',
            ["/etc/laptop-mode/laptop-mode.conf", "laptop-mode-tools", "CONTROL_HD_"],
        ),
        (
            "/etc/udisks2/WDC-1.conf",
            "[ATA]\nStandbyTimeout=240\n",
            ["/etc/udisks2/WDC-1.conf", "udisks", "StandbyTimeout"],
        ),
        (f"{UNITS}/udisks2.service/cgroup.procs", "", ["udisks2", "SMART"]),
        (f"{UNITS}/atop.service/cgroup.procs", "", ["atop", "log"]),
    ],
)
def test_each_is_named_with_its_remedy(hardware: Hardware, path: str, text: str, terms: list[str]) -> None:
    hardware.put(path, text)
    (only,) = found(hardware)
    assert only.startswith(terms[0])
    description, _, remedy = only.partition(";")
    assert remedy
    assert all(term in description for term in terms)


def test_hd_idle_that_is_switched_off_is_none(hardware: Hardware) -> None:
    hardware.put("/etc/default/hd-idle", "START_HD_IDLE=false\n")
    assert found(hardware) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/sda -a -n standby,q\nDEVICESCAN -n standby,q\n", []),
        ("# DEVICESCAN\n", []),
        ("/dev/nvme0 -a\n/dev/nvme0n1 -a -n never\n/dev/disk/by-id/nvme-X -a\nDEVICESCAN -d nvme -a\n", []),
        ("/dev/nvme0 -a\nDEVICESCAN -a\n", [("DEVICESCAN", "starts")]),
        ("DEVICESCAN\n", [("DEVICESCAN", "starts")]),
        ("DEFAULT -n standby\n/dev/sda -a\n", [("/dev/sda", "logs")]),
        # Debian's own line.
        (
            "DEVICESCAN -d removable -n standby -m root -M exec /usr/share/smartmontools/smartd-runner\n",
            [("DEVICESCAN", "logs")],
        ),
        (
            "/dev/sda -a\n/dev/sdb -n never\n/dev/sdc -n standby\n/dev/sdd -n standby,q\n",
            [("/dev/sda, /dev/sdb", "starts"), ("/dev/sdc", "logs")],
        ),
    ],
)
@pytest.mark.parametrize("unit", ["smartmontools.service", "smartd.service"])
def test_a_smartd_that_disturbs_sleeping_disks(
    hardware: Hardware, unit: str, text: str, expected: list[tuple[str, str]]
) -> None:
    hardware.put("/etc/smartd.conf", text)
    assert found(hardware) == [], "it does not run"
    hardware.put(f"{UNITS}/{unit}/cgroup.procs", "")
    texts = found(hardware)
    for one, (disks, effect) in zip(texts, expected, strict=True):
        assert one.startswith(f"smartd.conf: {disks}: smartd {effect} ")
        remedy = one.partition(";")[2]
        assert unit in remedy
        assert "standby,q" in remedy


def test_scrutiny_is_found_between_its_runs_and_in_one(hardware: Hardware) -> None:
    timers = hardware.root / "etc/systemd/system/timers.target.wants"
    timers.mkdir(parents=True)
    assert found(hardware) == []
    (timers / "scrutiny-collector.timer").symlink_to("/etc/systemd/system/scrutiny-collector.timer")
    (only,) = found(hardware)
    assert only.startswith("scrutiny ")
    (timers / "scrutiny-collector.timer").unlink()
    hardware.put(f"{UNITS}/scrutiny-collector.service/cgroup.procs", "")
    assert found(hardware) == [only]


def test_a_telegraf_is_named_only_where_it_asks_disks(hardware: Hardware) -> None:
    hardware.put("/etc/telegraf/telegraf.conf", "[[inputs.cpu]]\n# [[inputs.smart]]\n[[inputs.smart_x]]\n")
    hardware.put("/etc/telegraf/telegraf.d/disks.conf", "  [[ inputs.smartctl ]]\n")
    assert found(hardware) == [], "it does not run"
    hardware.put(f"{UNITS}/telegraf.service/cgroup.procs", "")
    (only,) = found(hardware)
    assert only.startswith("/etc/telegraf/telegraf.d/disks.conf: telegraf ")


def test_the_kernel_s_own_disks(hardware: Hardware) -> None:
    hardware.sysfs("sda", "device/power/control", "auto")
    assert found(hardware) == [], "it has no delay, so it is never suspended"
    hardware.sysfs("sda", "device/power/autosuspend_delay_ms", "900000")
    assert found(hardware)[0].startswith("sda: the kernel ")


@pytest.mark.parametrize(
    "directory", ["/var/spool/cron/crontabs", "/etc/tlp.d", "/etc/udev/rules.d", "/etc/udisks2"]
)
def test_a_directory_that_cannot_be_listed_hides_nothing_else(hardware: Hardware, directory: str) -> None:
    hardware.put("/etc/systemd/system/spindown.service", "ExecStart=/sbin/hdparm -S120 /dev/sda\n")
    hardware.put("/etc/init.d/spindown", "hdparm -B 127 /dev/sda\n")
    hardware.put("/etc/tlp.conf", 'DISK_APM_LEVEL_ON_AC="254 254"\n')
    expected = found(hardware)
    assert len(expected) == 3
    hardware.at(directory).parent.mkdir(parents=True, exist_ok=True)
    hardware.at(directory).symlink_to(hardware.at(directory).name)  # a loop: not even root can list it
    texts = found(hardware)
    assert set(expected) < set(texts)
    (error,) = set(texts) - set(expected)
    assert directory in error


def test_an_unreadable_file_is_reported(hardware: Hardware) -> None:
    hardware.put("/etc/tlp.conf", "")
    hardware.at("/etc/tlp.conf").unlink()
    hardware.at("/etc/tlp.conf").symlink_to("/proc/self/mem")
    (error,) = found(hardware)
    assert "/etc/tlp.conf" in error
