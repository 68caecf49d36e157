"""The entities of this server in Home Assistant: their values, and the discovery message.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload specifies that message, which Home
Assistant supports since 2024.11. The values are one JSON object, which changes only when one of them does: it
contains no count of seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, get_args

from powerd import __version__
from powerd.core.snapshot import Phase, Status
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.messages.model import Alarm
from powerd.power.model import PowerReport
from powerd.presence.model import Client, ClientState, PresenceFacts, PresenceReport
from powerd.smart.model import SmartReports

KEEP_HOURS: Final = (1, 2)
"""Buttons that keep the server awake."""
MAX_DISKS: Final = 32
MAX_WAKE_BUTTONS: Final = 16
_MAX_REASONS: Final = 20
_MAX_TEXT: Final = 250
"""Characters; a state of Home Assistant has at most 255."""
_SAME_TIME: Final = 2.0
"""Seconds; a time that is computed again differs by less."""
_URL: Final = "https://www.home-assistant.io/integrations/mqtt/"


def state_topic(name: str) -> str:
    """The topic of the values."""
    return f"powerd/{name}/state"


def command_topic(name: str) -> str:
    """The topic of commands."""
    return f"powerd/{name}/command"


def values(
    status: Status,
    alarms: Sequence[Alarm],
    asleep_seconds: float,
    previous: dict[str, Any],
    *,
    going_down: bool = False,
) -> dict[str, Any]:
    """The values of all entities.

    Args:
        status: the last decision.
        alarms: that stand, the worst first.
        asleep_seconds: of all sleeps.
        previous: the values that were published last.
        going_down: a sleep begins.
    """
    decision = status.decision
    plan, wake = decision.planned_sleep, decision.part(PowerReport).wake_time
    counted = [each.state for each in decision.part(PresenceReport).client_statuses if each.blocks_sleep]
    reasons = [f"{each.subject}: {each.text}"[:_MAX_TEXT] for each in decision.reasons if each.blocks_sleep]
    return {
        "state": "asleep" if going_down else decision.phase,
        "awake": not going_down,
        "mode": status.mode,
        "present": ClientState.PRESENT in counted or ClientState.DOZING in counted,
        "alarm": bool(alarms),
        "alarms": [f"{each.subject}: {each.text}"[:_MAX_TEXT] for each in alarms[:_MAX_REASONS]],
        "sleep_at": _time(plan.at.wall if plan and not going_down else None, previous.get("sleep_at")),
        "next_wake": _time(wake.at.wall if wake else None, previous.get("next_wake")),
        "reason": reasons[0] if reasons and not going_down else None,
        "reasons": [] if going_down else reasons[:_MAX_REASONS],
        "hours_asleep": round(asleep_seconds / 3600, 1),
        "disks": dict(_disk_values(status)),
    }


def _time(at: datetime | None, previous: str | None) -> str | None:
    """RFC 3339; the previous text if it is the same time."""
    if at is None:
        return None
    if previous and abs(datetime.fromisoformat(previous).timestamp() - at.timestamp()) < _SAME_TIME:
        return previous
    return at.isoformat(timespec="seconds")


def _shown_disks(status: Status) -> list[DiskReport]:
    return [each for each in status.decision.part(DisksReport).disks if each.state is not DiskState.EXCLUDED][
        :MAX_DISKS
    ]


def _disk_values(status: Status) -> Iterator[tuple[str, dict[str, Any]]]:
    smart = status.decision.part(SmartReports).smart
    for report in _shown_disks(status):
        health = smart.get(report.disk.id)
        last = health.record.last if health else None
        yield (
            _key(report.disk.id),
            {
                "state": report.state.value,
                "spinning": None if report.state is DiskState.UNKNOWN else not report.state.is_stopped,
                "temperature": last.temperature if last else None,
            },
        )


def discovery(
    name: str, status: Status, *, commands: bool, previous: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """The message by which Home Assistant discovers all entities of this server as one device.

    Args:
        name: of this server in topics.
        status: the last decision: which disks and clients there are.
        commands: buttons work.
        previous: the components of the last message. Home Assistant removes those that consist of the
            platform only, and keeps those that are missing.
    """
    entities = {**dict(_server_entities()), **dict(_disk_entities(status))}
    topic = state_topic(name)
    components = {
        key: {
            **entity,
            "unique_id": f"powerd_{name}_{key}",
            "state_topic": topic,
            **({"json_attributes_topic": topic} if "json_attributes_template" in entity else {}),
        }
        for key, entity in entities.items()
    }
    if commands:
        components |= {
            key: {
                "platform": "button",
                **entity,
                "unique_id": f"powerd_{name}_{key}",
                "command_topic": command_topic(name),
            }
            for key, entity in _buttons(status)
        }
    for key, component in (previous or {}).items():
        if key not in components and len(component) > 1:
            components[key] = {"platform": component["platform"]}
    return {
        "device": {
            "identifiers": [f"powerd_{name}"],
            "name": name,
            "manufacturer": "powerd",
            "sw_version": __version__,
        },
        "origin": {"name": "powerd", "sw_version": __version__, "support_url": _URL},
        # A server that sleeps is available: its last values are right, and its state is "asleep".
        "availability": [
            {
                "topic": f"powerd/{name}/server",
                "value_template": "{{ 'offline' if value_json.state == 'gone' else 'online' }}",
            }
        ],
        "qos": 1,
        "components": components,
    }


def _server_entities() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "awake", _binary("Awake", "awake", device_class="running")
    yield "present", _binary("Somebody present", "present", device_class="presence")
    alarms = "{{ {'alarms': value_json.alarms} | tojson }}"
    alarm = _binary("Alarm", "alarm", device_class="problem")
    yield "alarm", alarm | {"json_attributes_template": alarms}
    yield "state", _sensor("State", "state", device_class="enum", options=list(get_args(Phase)))
    reasons = "{{ {'reasons': value_json.reasons} | tojson }}"
    reason = _sensor("Kept awake by", "reason", icon="mdi:sleep-off")
    yield "reason", reason | {"json_attributes_template": reasons}
    yield "sleep_at", _sensor("Sleeps at the earliest", "sleep_at", device_class="timestamp")
    yield "next_wake", _sensor("Next wake-up", "next_wake", device_class="timestamp")
    yield (
        "hours_asleep",
        _sensor(
            "Time asleep",
            "hours_asleep",
            device_class="duration",
            unit_of_measurement="h",
            state_class="total_increasing",
        ),
    )


def _disk_entities(status: Status) -> Iterator[tuple[str, dict[str, Any]]]:
    smart = status.decision.part(SmartReports).smart
    for report in _shown_disks(status):
        disk, key = report.disk, _key(report.disk.id)
        label = f"{disk.model} {disk.serial[-4:]}".strip() or disk.device
        path = f"disks.get('{key}', {{}})"  # Home Assistant logs an error for one that no longer exists
        spins = f"{path}.get('spinning')"
        yield f"spins_{key}", _binary(f"{label} spins", spins, device_class="running")
        states = [state.value for state in DiskState]
        state = f"{path}.get('state')"
        yield f"state_{key}", _sensor(f"{label} state", state, device_class="enum", options=states)
        if disk.id in smart:
            yield (
                f"temperature_{key}",
                _sensor(
                    f"{label} temperature",
                    f"{path}.get('temperature')",
                    device_class="temperature",
                    unit_of_measurement="°C",
                    state_class="measurement",
                ),
            )


def _buttons(status: Status) -> Iterator[tuple[str, dict[str, Any]]]:
    for hours in KEEP_HOURS:
        yield f"keep_{hours}h", {"name": f"Keep awake {hours} h", "payload_press": f"keep {hours}h"}
    yield "sleep", {"name": "Sleep", "payload_press": "sleep"}
    for client in wakeable_clients(status):
        button = {"name": f"Wake {client.label}"[:_MAX_TEXT], "payload_press": f"wake {client.mac}"}
        # Few clients are computers that a magic packet wakes, so people enable the buttons that they need.
        yield f"wake_{_key(str(client.mac))}", {**button, "enabled_by_default": False}


def wakeable_clients(status: Status) -> list[Client]:
    """Clients with a name and a MAC address, by their names."""
    clients = status.snapshot.part(PresenceFacts).clients.values()
    named = sorted(
        (each for each in clients if each.name and each.mac), key=lambda each: (each.label, each.id)
    )
    return named[:MAX_WAKE_BUTTONS]


def _binary(name: str, path: str, **more: object) -> dict[str, Any]:
    value = f"value_json.{path}"
    template = f"{{{{ 'None' if {value} is none else 'ON' if {value} else 'OFF' }}}}"
    return {"platform": "binary_sensor", "name": name, "value_template": template, **more}


def _sensor(name: str, path: str, **more: object) -> dict[str, Any]:
    return {"platform": "sensor", "name": name, "value_template": f"{{{{ value_json.{path} }}}}", **more}


def _key(text: str) -> str:
    """``text`` as a part of an id."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:64]
