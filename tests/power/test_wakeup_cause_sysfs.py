"""The tree is that of a Debian 12 in QEMU, link by link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from powerd.linux.files import HostFiles
from powerd.linux.values import HostError
from powerd.power.model import WakeupSource, WakeupState
from powerd.power.wakeup_cause import describe_failure, read_wakeup_state

PCI = "devices/pci0000:00/0000:00:02.0"
ACPI = "devices/LNXSYSTM:00/LNXSYBUS:00/PNP0A03:00"


def link(path: Path, to: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    to.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(to, path.parent))


def source(sys: Path, number: int, device: str, driver: str, *, events: int) -> Path:
    """One wakeup source of a device, in the kernel's shape."""
    home = sys / device / "wakeup" / f"wakeup{number}"
    link(sys / f"class/wakeup/wakeup{number}", home)
    link(home / "device", sys / device)
    if driver:
        link(sys / device / "driver", sys / "bus" / driver)
    (home / "name").write_text(f"{Path(device).name}\n")
    (home / "event_count").write_text(f"{events}\n")
    return home


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    sys = tmp_path / "sys"
    source(sys, 6, "devices/LNXSYSTM:00/LNXPWRBN:00", "acpi/drivers/button", events=0)
    source(sys, 7, "devices/pnp0/00:04", "pnp/drivers/rtc_cmos", events=1)
    link(sys / f"{ACPI}/device:00/physical_node", sys / PCI)
    link(sys / PCI / "driver", sys / "bus/pci/drivers/e100")
    source(sys, 0, f"{ACPI}/device:00", "", events=2)
    link(sys / "class/net/eth0", sys / PCI / "net/eth0")
    link(sys / PCI / "net/eth0/device", sys / PCI)
    link(sys / "class/net/lo", sys / "devices/virtual/net/lo")
    return sys


READ = WakeupState(
    (
        WakeupSource("device:00", f"/{PCI}", "e100", 2),
        WakeupSource("LNXPWRBN:00", "/devices/LNXSYSTM:00/LNXPWRBN:00", "button", 0),
        WakeupSource("00:04", "/devices/pnp0/00:04", "rtc_cmos", 1),
    ),
    cards=(("eth0", f"/{PCI}"),),
)


def test_acpi_events_of_a_card_are_attributed_to_the_card(tmp_path: Path, sys: Path) -> None:
    assert sys.is_dir()
    assert read_wakeup_state(HostFiles(tmp_path)) == READ


def test_the_interrupt_is_reported_with_its_handlers(tmp_path: Path, sys: Path) -> None:
    power, irq = sys / "power", sys / "kernel/irq/9"
    power.mkdir()
    (power / "pm_wakeup_irq").write_text("9\n")
    assert read_wakeup_state(HostFiles(tmp_path)).irq == "9"
    irq.mkdir(parents=True)
    (irq / "actions").write_text("acpi\n")
    assert read_wakeup_state(HostFiles(tmp_path)).irq == "9 (acpi)"
    (power / "pm_wakeup_irq").write_text("")
    assert read_wakeup_state(HostFiles(tmp_path)).irq == ""


def test_the_number_of_sleeps_is_reported(tmp_path: Path, sys: Path) -> None:
    stats = sys / "power/suspend_stats"
    stats.mkdir(parents=True)
    assert read_wakeup_state(HostFiles(tmp_path)).suspend_count is None
    (stats / "success").write_text("3\n")
    assert read_wakeup_state(HostFiles(tmp_path)).suspend_count == 3


USB = "0000:00:14.0"


def write_stats(sys: Path, **stats: object) -> None:
    """What the kernel (6.1) writes below /sys/power/suspend_stats."""
    directory = sys / "power/suspend_stats"
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in stats.items():
        (directory / name).write_text(f"{value}\n")


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({}, ""),
        ({"success": 4}, ""),
        ({"failed_suspend": 3}, f"{USB} (xhci_hcd) failed in the step suspend"),  # a hibernation: no "fail"
        (
            {"failed_suspend": 3, "fail": 4},
            f"{USB} (xhci_hcd) failed in the step suspend, Input/output error",
        ),
        ({"failed_suspend": 3, "last_failed_dev": "mmc0:0001"}, "mmc0:0001 failed in the step suspend"),
        ({"failed_freeze": 1, "last_failed_step": "freeze"}, "the step freeze failed"),
        ({"failed_suspend": 3, "last_failed_dev": ""}, "the step suspend failed"),
        ({"fail": 4, "last_failed_errno": -16}, "Device or resource busy"),
        ({"fail": 4, "last_failed_errno": "?"}, "an error"),
    ],
)
def test_the_kernel_names_the_device_that_prevents_a_sleep(
    tmp_path: Path, sys: Path, later: dict[str, object], expected: str
) -> None:
    driver = sys / "bus/pci/drivers/xhci_hcd"
    device = sys / "devices/pci0000:00" / USB
    for each in (driver, device, sys / "bus/pci/devices"):
        each.mkdir(parents=True)
    (device / "driver").symlink_to(driver)
    (sys / "bus/pci/devices" / USB).symlink_to(device)
    write_stats(sys, success=3, fail=3, failed_freeze=0, failed_prepare=0, failed_suspend=2, failed_resume=1)
    write_stats(sys, last_failed_dev=USB, last_failed_step="suspend", last_failed_errno=-5)
    files = HostFiles(tmp_path)
    before = read_wakeup_state(files)
    write_stats(sys, **later)
    assert describe_failure(before, read_wakeup_state(files)) == expected


def test_without_statistics_no_failure_is_known(tmp_path: Path, sys: Path) -> None:
    files = HostFiles(tmp_path)
    before = read_wakeup_state(files)
    write_stats(sys, fail=1, failed_suspend=1, last_failed_dev=USB, last_failed_step="suspend")
    after = read_wakeup_state(files)
    assert describe_failure(before, after) == describe_failure(after, before) == ""


def test_a_source_that_goes_meanwhile_or_makes_no_sense_is_left_out(tmp_path: Path, sys: Path) -> None:
    (sys / "devices/pnp0/00:04/wakeup/wakeup7/event_count").write_text("many")
    (sys / "class/wakeup/wakeup9").symlink_to("../../devices/gone")
    assert [each.name for each in read_wakeup_state(HostFiles(tmp_path)).sources] == [
        "device:00",
        "LNXPWRBN:00",
    ]


@pytest.mark.parametrize("hidden", ["/sys/class/wakeup", "/sys/class/net", "/sys/bus"])
def test_a_directory_that_this_user_may_not_list_is_left_out(
    tmp_path: Path, sys: Path, monkeypatch: pytest.MonkeyPatch, hidden: str
) -> None:
    """Under AppArmor, or with InaccessiblePaths=; powerd starts nevertheless, and delays no sleep."""
    write_stats(sys, fail=1, failed_suspend=1, last_failed_dev=USB, last_failed_step="suspend")
    files = HostFiles(tmp_path)
    listdir = files.listdir

    def refuse(directory: str) -> tuple[str, ...]:
        if directory == hidden:
            raise HostError(f"cannot list {directory}: Permission denied")
        return listdir(directory)

    monkeypatch.setattr(files, "listdir", refuse)
    found = read_wakeup_state(files)
    assert (found.sources == (), found.cards == ()) == (hidden.endswith("wakeup"), hidden.endswith("net"))
    assert found.failures.device == USB


def test_a_source_without_a_device_is_reported_by_its_name(tmp_path: Path, sys: Path) -> None:
    home = source(sys, 8, "devices/virtual/autosleep", "", events=0)
    (home / "device").unlink()
    assert read_wakeup_state(HostFiles(tmp_path)).sources[-1] == WakeupSource("autosleep")


def test_a_kernel_without_sleep_reports_nothing(tmp_path: Path) -> None:
    assert read_wakeup_state(HostFiles(tmp_path)) == WakeupState()


def test_this_machine_can_be_read() -> None:
    assert isinstance(read_wakeup_state(HostFiles()), WakeupState)
