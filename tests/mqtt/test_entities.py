"""What Home Assistant gets: checked against the options that its 2025.1.4 accepts for each platform.

They are from DISCOVERY_SCHEMA of homeassistant.components.mqtt.sensor, binary_sensor and button, and from
DEVICE_CLASS_UNITS of homeassistant.components.sensor.const.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, Final, get_args

import pytest
from facts import changed
from ui.disk_statuses import disk_status, hostile_disks, standby, unresponsive
from ui.smart_statuses import RED, smart_status
from ui.statuses import HOSTILE_NAME, NOW, at, client, family, hostile, idle, many_clients, with_wake_alarm

from powerd.core.snapshot import Phase, Status
from powerd.messages.model import Alarm
from powerd.mqtt.entities import MAX_DISKS, MAX_WAKE_BUTTONS, discovery, values
from powerd.presence.model import PresenceFacts

COMMON: Final = {
    *("platform", "name", "unique_id", "icon", "device_class", "enabled_by_default", "entity_category"),
    *("json_attributes_topic", "json_attributes_template", "qos"),
}
OPTIONS: Final = {
    "sensor": COMMON
    | {"state_topic", "value_template", "unit_of_measurement", "state_class", "options", "expire_after"},
    "binary_sensor": COMMON | {"state_topic", "value_template", "payload_on", "payload_off"},
    "button": COMMON | {"command_topic", "payload_press", "command_template"},
}
REQUIRED: Final = {"sensor": "state_topic", "binary_sensor": "state_topic", "button": "command_topic"}
DEVICE_CLASSES: Final = {
    # Those that powerd uses.
    "sensor": {"enum", "timestamp", "duration", "temperature"},
    "binary_sensor": {"running", "presence", "problem"},
}
UNITS: Final = {"duration": {"h", "min", "s", "ms", "d"}, "temperature": {"°C", "°F", "K"}}
STATE_CLASSES: Final = {
    "duration": {"measurement", "total", "total_increasing"},
    "temperature": {"measurement"},
}
TOPIC: Final = re.compile(r"powerd/[A-Za-z0-9_-]+/(state|command|server)")


def check_component(key: str, component: dict[str, Any]) -> None:
    platform = component["platform"]
    if len(component) == 1:  # Home Assistant removes it
        return
    assert re.fullmatch(r"[A-Za-z0-9_-]+", key)
    assert component.keys() <= OPTIONS[platform]
    assert TOPIC.fullmatch(component[REQUIRED[platform]])
    device_class = component.get("device_class")
    assert device_class is None or device_class in DEVICE_CLASSES[platform]
    assert ("options" in component) == (device_class == "enum")
    assert component.get("unit_of_measurement") in UNITS.get(str(device_class), {None})
    assert component.get("state_class") in STATE_CLASSES.get(str(device_class), {None})


def check(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Check a discovery payload of a device, and return its components."""
    assert document.keys() <= {"device", "origin", "availability", "qos", "components"}
    assert document["device"]["identifiers"]
    assert document["origin"]["name"] == "powerd"
    assert len(json.dumps(document)) < 1 << 16
    components: dict[str, dict[str, Any]] = document["components"]
    for key, component in components.items():
        check_component(key, component)
    present = [each for each in components.values() if len(each) > 1]
    assert len({each["unique_id"] for each in present}) == len(present)
    return components


@pytest.mark.parametrize(
    "status", [family(), idle(), hostile(), many_clients(), smart_status(), hostile_disks(), disk_status()]
)
@pytest.mark.parametrize("commands", [True, False])
def test_the_discovery_payload(status: Status, *, commands: bool) -> None:
    components = check(discovery("nas", status, commands=commands))
    buttons = [key for key, each in components.items() if each["platform"] == "button"]
    assert (buttons[:3] == ["keep_1h", "keep_2h", "sleep"]) == commands
    assert bool(buttons) == commands


@pytest.mark.parametrize("status", [family(), smart_status(), disk_status(standby(), unresponsive())])
def test_each_template_names_a_value_that_is_published(status: Status) -> None:
    published = values(status, (), 0.0, {})
    for component in discovery("nas", status, commands=False)["components"].values():
        path = re.search(r"value_json((?:\.get\('[^']+'(?:, {})?\)|\.\w+)+)", component["value_template"])
        assert path is not None
        value: Any = published
        for quoted, plain in re.findall(r"\.get\('([^']+)'|\.(\w+)", path[1]):
            value = value[plain or quoted]


def test_an_entity_that_is_no_more_is_removed_once() -> None:
    before = discovery("nas", smart_status(), commands=True)["components"]
    removed = discovery("nas", family(), commands=True, previous=before)["components"]
    gone = {key: each for key, each in removed.items() if len(each) == 1}
    assert gone.keys() == {key for key in before if key.startswith(("spins_", "state_", "temperature_"))}
    assert all(each == {"platform": before[key]["platform"]} for key, each in gone.items())
    later = discovery("nas", family(), commands=True, previous=removed)
    assert later == discovery("nas", family(), commands=True)


def test_wake_buttons_are_for_clients_with_name_and_mac() -> None:
    clients = [client(n, f"pc-{n}") for n in range(MAX_WAKE_BUTTONS + 5)]
    nameless, remote = client(99), replace(client(98, "far"), mac=None)
    facts = PresenceFacts(clients={each.id: each for each in (*clients, nameless, remote)})
    status = replace(family(), snapshot=family().snapshot.with_parts(facts))
    components = check(discovery("nas", status, commands=True))
    wakes = {key: each for key, each in components.items() if key.startswith("wake_")}
    assert len(wakes) == MAX_WAKE_BUTTONS
    assert wakes["wake_02_00_00_00_00_00"]["payload_press"] == "wake 02:00:00:00:00:00"
    assert not any(each["enabled_by_default"] for each in wakes.values())


def test_values() -> None:
    found = values(family(), (), 5400.0, {})
    assert (found["state"], found["awake"], found["present"], found["alarm"]) == ("awake", True, True, False)
    assert found["reason"] == "anna-phone: is home: answers ping"
    assert len(found["reasons"]) == 3
    assert (found["sleep_at"], found["next_wake"], found["hours_asleep"]) == (None, None, 1.5)
    assert values(idle(), (), 0.0, {})["sleep_at"] == idle().decision.planned_sleep.at.wall.isoformat(  # type: ignore[union-attr] # it has one
        timespec="seconds"
    )
    disks = values(smart_status(), (), 0.0, {})["disks"]
    assert disks[RED.id] == {"state": "active", "spinning": True, "temperature": 31}


def test_an_alarm() -> None:
    alarm = Alarm("drive x", "sda", HOSTILE_NAME * 40, "replace it", None, "alarm")
    found = values(family(), (alarm,), 0.0, {})
    assert found["alarm"]
    assert len(found["alarms"][0]) <= 255


def test_going_down() -> None:
    found = values(with_wake_alarm(), (), 0.0, {}, going_down=True)
    assert (found["state"], found["awake"], found["sleep_at"]) == ("asleep", False, None)
    assert found["next_wake"] is not None
    assert found["state"] in get_args(Phase)


def test_a_time_that_is_computed_again_does_not_change_the_values() -> None:
    first = values(idle(), (), 0.0, {})
    plan = idle().decision.planned_sleep
    assert plan is not None
    later = replace(plan, at=at(plan.at.mono - NOW.mono + 0.9))
    status = replace(idle(), decision=replace(idle().decision, planned_sleep=later))
    assert values(status, (), 0.0, first) == first
    much_later = replace(plan, at=at(plan.at.mono - NOW.mono + 60))
    status = replace(idle(), decision=replace(idle().decision, planned_sleep=much_later))
    assert values(status, (), 0.0, first) != first


def test_many_disks() -> None:
    disks = tuple(standby()._replace(disk=replace(standby().disk, id=f"d{n}")) for n in range(1000))  # type: ignore[arg-type] # a DiskId
    status = replace(family(), decision=changed(family().decision, disks=disks))
    assert len(values(status, (), 0.0, {})["disks"]) == MAX_DISKS
    check(discovery("nas", status, commands=True))
