"""The answers are those of upsd 2.8.0 (Debian 12) with the driver dummy-ups, recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts
from hypothesis import given
from hypothesis import strategies as st

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.ups import Options, UpsCheck, parse
from powerd.activity.model import Activity
from powerd.config.load import ConfigError
from powerd.config.load import parse as parse_config
from powerd.core.poller import PollDepth
from powerd.linux.files import HostFiles
from powerd.linux.ports import Ports
from powerd.linux.values import HostError
from powerd.power.model import WakeupState

SERVER = ("127.0.0.1", 3493)
LIST = 'BEGIN LIST UPS\nUPS office "the UPS in the office"\nEND LIST UPS\n'
MAINS = 'VAR office ups.status "OL"\nVAR office battery.charge "100"\n'
BATTERY = 'VAR office ups.status "OB LB DISCHRG"\nVAR office battery.charge "9"\n'
NO_CHARGE = 'VAR office ups.status "OB"\nERR VAR-NOT-SUPPORTED\n'
BYE = "OK Goodbye\n"


def poll(options: Options, answer: str = "", files: HostFiles | None = None) -> tuple[Activity, ...]:
    fake = RecordingPorts(answers={SERVER: answer.encode()})
    ports = Ports(files or fake, fake, fake, fake, fake, WakeupState)
    return asyncio.run(UpsCheck(options, check_ports(ports)).poll(PollDepth.BEFORE_SLEEP))


@pytest.mark.parametrize("options", [Options(), Options(name="office")], ids=["all", "one"])
@pytest.mark.parametrize(
    ("status", "awake", "charge"), [(MAINS, False, 100.0), (BATTERY, True, 9.0), (NO_CHARGE, True, None)]
)
def test_on_battery_it_stays_awake(options: Options, status: str, awake: bool, charge: float | None) -> None:  # noqa: FBT001 - a row of the table
    (activity,) = poll(options, LIST + status + BYE)
    assert (activity.subject, activity.keeps_awake, activity.value) == ("office", awake, charge)


@pytest.mark.parametrize(
    "status", ["OL CHRG", "OL BYPASS", "OL TRIM", "OL RB", "OL BOOST ALARM", "OFF", "FSD OL", "BYPASS"]
)
def test_any_other_known_status_is_not_on_battery(status: str) -> None:
    assert not parse(f'VAR office ups.status "{status}"\n', "office").keeps_awake


@pytest.mark.parametrize(
    "answer",
    [
        "ERR DATA-STALE\nERR DATA-STALE\n",
        "ERR DRIVER-NOT-CONNECTED\nERR DRIVER-NOT-CONNECTED\n",
        "ERR UNKNOWN-UPS\n",
        "ERR ACCESS-DENIED\n",
        'VAR office ups.status ""\n',
        'VAR office ups.status "WAIT"\n',
        'VAR office ups.status "ALARM RB"\n',
        'VAR office ups.status "OLD"\n',
        "",
    ],
)
def test_a_supply_without_a_status_is_a_failure(answer: str) -> None:
    with pytest.raises(HostError, match="office"):
        poll(Options(name="office"), answer + BYE)


def test_upsd_without_a_supply_is_a_failure() -> None:
    with pytest.raises(HostError, match="no UPS"):
        poll(Options(), "BEGIN LIST UPS\nEND LIST UPS\n" + BYE)


@given(st.text())
def test_any_answer_is_a_state_or_an_error(answer: str) -> None:
    with contextlib.suppress(HostError):
        parse(answer, "office")


@pytest.mark.parametrize("name", ["a b", "office\\nLOGIN x", "ups;", '\\"'])
def test_a_name_is_no_command(name: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(f'[activity.ups]\nname = "{name}"\n'.encode(), "f")


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., None]:
    """Writes a supply of /sys/class/power_supply."""

    def write(name: str, **attributes: str) -> None:
        directory = tmp_path / "sys/class/power_supply" / name
        directory.mkdir(parents=True)
        for attribute, value in attributes.items():
            (directory / attribute).write_text(f"{value}\n")

    return write


SYSFS = Options(source="sysfs")


def test_supplies_of_the_kernel(tmp_path: Path, put: Callable[..., None]) -> None:
    put("AC", type="Mains", online="0")
    put("BAT0", type="Battery", status="Discharging", capacity="81")
    put("hid-mouse", type="Battery", scope="Device", status="Discharging", capacity="3")
    put("ups", type="UPS", status="Full")
    files = HostFiles(tmp_path)
    found = {each.subject: (each.keeps_awake, each.value) for each in poll(SYSFS, files=files)}
    assert found == {"BAT0": (True, 81.0), "ups": (False, None)}
    assert [each.subject for each in poll(Options(source="sysfs", name="ups"), files=files)] == ["ups"]
    with pytest.raises(HostError, match="AC"):
        poll(Options(source="sysfs", name="AC"), files=files)


def test_a_supply_of_the_kernel_without_a_status_is_a_failure(
    tmp_path: Path, put: Callable[..., None]
) -> None:
    put("ups", type="UPS")
    with pytest.raises(HostError, match="status"):
        poll(SYSFS, files=HostFiles(tmp_path))


@pytest.mark.parametrize("status", ["Unknown", "Empty", "discharging"])
def test_an_unknown_status_of_the_kernel_is_a_failure(
    tmp_path: Path, put: Callable[..., None], status: str
) -> None:
    put("ups", type="UPS", status=status)
    with pytest.raises(HostError, match="status"):
        poll(SYSFS, files=HostFiles(tmp_path))


def test_a_kernel_without_a_supply_is_not_applicable(tmp_path: Path, put: Callable[..., None]) -> None:
    put("AC", type="Mains", online="1")
    with pytest.raises(NotApplicableError):
        poll(SYSFS, files=HostFiles(tmp_path))
