"""Which devices are suggested for ``ignore``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ui.statuses import NOW, client, client_status, decision, status

from powerd.presence.view import shared_macs
from powerd.setup.suggestions import pattern_of, reason_to_ignore
from powerd.ui.api import clients_json
from powerd.ui.schema import ClientJson


def row(name: str | None = None, maker: str | None = None, *, always_on: bool = False) -> ClientJson:
    found = replace(client_status(replace(client(5, name), maker=maker)), always_on=always_on)
    (json,) = clients_json(status(decision(client_statuses=(found,))), NOW)
    return json


@pytest.mark.parametrize(
    ("name", "maker", "kind"),
    [
        ("HP-LaserJet", None, "printer"),
        ("living-room-tv.local", None, "TV or media box"),
        ("esp_0A1B2C", None, "smart home"),
        ("shelly1-abc", "Espressif Inc.", "smart home"),
        (None, "Espressif Inc.", "smart home"),
        ("ap-upstairs", None, "network device"),
        ("Sonos-Kitchen.lan", None, "loudspeaker"),
        ("nas2", None, "server"),
        ("annas-laptop", "Intel Corporate", None),
        ("pixel-7", "private address", None),
        ("laptop.tv.example", None, None),
        ("captain", None, None),
        (None, None, None),
        (None, "Samsung Electronics Co.,Ltd", None),
    ],
)
def test_devices_that_belong_to_nobody_in_particular(
    name: str | None, maker: str | None, kind: str | None
) -> None:
    assert reason_to_ignore(row(name, maker)) == kind


def test_a_device_that_is_always_on() -> None:
    assert reason_to_ignore(row("x", always_on=True)) == "always on"


def test_a_device_that_is_ignored_stays_so() -> None:
    assert reason_to_ignore(row("x") | {"keeps_awake": False}) == "ignored so far"


def test_devices_are_matched_by_mac_unless_they_share_it() -> None:
    given = row("tv", "Sony")
    assert pattern_of(given, shared_macs([given])) == ("02:00:00:00:00:05", "tv, 10.0.0.5, Sony")
    assert pattern_of(given, shared_macs([given, row("phone")])) == ("10.0.0.5", "tv, Sony")
