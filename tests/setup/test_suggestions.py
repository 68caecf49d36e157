"""Which devices are suggested for ``ignore``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ui.statuses import NOW, client, client_status, decision, status

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
        ("HP-LaserJet", None, "a printer"),
        ("living-room-tv.local", None, "a TV or a media box"),
        ("esp_0A1B2C", None, "a smart home device"),
        ("shelly1-abc", "Espressif Inc.", "a smart home device"),
        (None, "Espressif Inc.", "a smart home device"),
        ("ap-upstairs", None, "network equipment"),
        ("Sonos-Kitchen.lan", None, "a loudspeaker"),
        ("nas2", None, "another server"),
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
    reason = reason_to_ignore(row(name, maker))
    assert reason is None if kind is None else reason is not None and reason.startswith(kind)


def test_a_device_that_is_always_on() -> None:
    assert reason_to_ignore(row("x", always_on=True)) == "always on"


def test_a_device_that_is_ignored_stays_so() -> None:
    assert reason_to_ignore(row("x") | {"keeps_awake": False}) == "ignored so far"


def test_devices_are_matched_by_mac_unless_they_share_it() -> None:
    given = row("tv", "Sony")
    assert pattern_of(given) == ("02:00:00:00:00:05", "tv, 10.0.0.5, Sony")
    given["id"] = "02:00:00:00:00:05/10.0.0.5"
    assert pattern_of(given) == ("10.0.0.5", "tv, Sony")
