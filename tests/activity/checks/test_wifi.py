from __future__ import annotations

import asyncio

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts
from hypothesis import given
from hypothesis import strategies as st

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.wifi import Options, WifiCheck, parse
from powerd.activity.model import Activity
from powerd.config.values import parse_mac_pattern
from powerd.core.poller import PollDepth
from powerd.linux.ports import Ports
from powerd.linux.values import HostError
from powerd.power.model import WakeupState
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.lan import CONTROL, SimulatedLan

PHONE, CAMERA = "02:00:00:00:00:07", "b8:27:eb:00:00:01"


def poll(lan: SimulatedLan, options: Options | None = None) -> tuple[Activity, ...]:
    other = RecordingPorts()
    ports = Ports(lan, lan, other, other, other, WakeupState)
    check = WifiCheck(options or Options(), check_ports(ports, SimulatedClock(mono=lambda: 0.0)))
    return asyncio.run(check.poll(PollDepth.ROUTINE))


def test_stations_keep_it_awake_unless_ignored() -> None:
    lan = SimulatedLan(associated=(PHONE, CAMERA))
    assert {each.subject: each.keeps_awake for each in poll(lan)} == {PHONE: True, CAMERA: True}
    options = Options(ignore=(parse_mac_pattern("B8:27:EB:*"),))
    assert {each.subject: each.keeps_awake for each in poll(lan, options)} == {PHONE: True, CAMERA: False}
    assert poll(SimulatedLan(associated=())) == ()


def test_without_hostapd_it_is_not_applicable() -> None:
    with pytest.raises(NotApplicableError):
        poll(SimulatedLan())


def test_an_access_point_without_an_answer_is_a_failure() -> None:
    with pytest.raises(HostError, match=CONTROL):
        poll(SimulatedLan(associated=(PHONE,), hostapd_hangs=True))


def test_a_station_whose_association_is_not_complete_does_not_count() -> None:
    """As hostapd 2.10 answers to all_sta."""
    text = f"{PHONE}\nflags=[AUTH][ASSOC][AUTHORIZED]\naid=1\nrx_packets=5\n{CAMERA}\nflags=[AUTH]\naid=0\n"
    assert parse(text) == (PHONE,)
    assert parse(PHONE) == (PHONE,), "an older version prints no flags"


@given(st.text())
def test_any_text(text: str) -> None:
    parse(text)


@pytest.mark.parametrize("text", ["", "phone", "10.0.0.1", "b8-27-eb"])
def test_what_is_no_mac(text: str) -> None:
    with pytest.raises(ValueError, match="is not a MAC address"):
        parse_mac_pattern(text)
