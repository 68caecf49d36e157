from __future__ import annotations

import pytest
from doctor.server import Server

RTC = "/sys/class/rtc/rtc1"
WAKE = '[wake]\nat = ["06:30"]\n'


@pytest.fixture
def rtc_server(server: Server) -> Server:
    """The kernel has set its clock from the second RTC."""
    server.put("/sys/class/rtc/rtc0/wakealarm", "")
    server.put(f"{RTC}/wakealarm", "")
    server.put(f"{RTC}/hctosys", "1\n")
    server.put(f"{RTC}/device/power/wakeup", "disabled\n")
    server.put("/etc/powerd/powerd.toml", WAKE)
    return server


def test_a_clock_that_may_not_wake_the_server_is_enabled(rtc_server: Server) -> None:
    diagnosis = rtc_server.check_fix("rtc_wakeup")
    assert diagnosis.subject == "rtc1"
    assert 'KERNEL=="rtc1"' in diagnosis.files[0].text


@pytest.mark.parametrize("text", ["enabled\n", ""])
def test_a_clock_that_may_is_none(rtc_server: Server, text: str) -> None:
    """Where a driver cannot change it, the file is empty."""
    rtc_server.put(f"{RTC}/device/power/wakeup", text)
    assert rtc_server.diagnose("rtc_wakeup") == []


def test_a_machine_without_a_clock_has_none(server: Server) -> None:
    server.put("/etc/powerd/powerd.toml", WAKE)
    assert server.diagnose("rtc_wakeup") == []


@pytest.mark.parametrize(
    ("configuration", "applies"),
    [
        ("", False),
        ("[wake", False),
        ("wake = 1\nactivity = 2\n", False),
        ("[wake]\nat = []\n", False),
        ('[wake]\ntimers = ["auto"]\n', True),
        ('[[activity.calendar]]\nurl = "https://cloud.lan/calendar.ics"\n', True),
    ],
)
def test_it_matters_if_powerd_needs_an_alarm(
    rtc_server: Server, configuration: str, *, applies: bool
) -> None:
    rtc_server.put("/etc/powerd/powerd.toml", configuration)
    assert bool(rtc_server.diagnose("rtc_wakeup")) is applies


@pytest.mark.parametrize("include", ['["conf.d/wake.toml"]', '["absent.toml", "conf.d/wake.toml"]', "1"])
def test_it_reads_the_files_that_the_configuration_includes(rtc_server: Server, include: str) -> None:
    rtc_server.put("/etc/powerd/powerd.toml", f"include = {include}\n")
    rtc_server.put("/etc/powerd/conf.d/wake.toml", f'include = ["../powerd.toml"]\n{WAKE}')
    assert bool(rtc_server.diagnose("rtc_wakeup")) is ("conf.d" in include)
