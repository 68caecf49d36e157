"""The text of /metrics, as prometheus-client's parser and promtool read it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ui.disk_statuses import active, disk_status, standby
from ui.smart_statuses import OLD, RED, hostile_drive, smart_status
from ui.statuses import HOSTILE_NAME, clients_unavailable, family, hostile, idle, working
from ui.wake_statuses import woken

from powerd.core.snapshot import Reason, SourceId, Status
from powerd.disks.model import DiskId
from powerd.disks.state import DisksReport
from powerd.history.model import Counters
from powerd.ui.metrics import metrics_text

ROOT: Final = Path(__file__).parents[2]
POLLS: Final = {SourceId("clients"): 1.25, SourceId("logind"): 0.002}
COUNTERS: Final = Counters(
    sleeps={"suspend": 3, "poweroff": 1},
    asleep_seconds=86400.5,
    wakeups={"alarm": 2, "network": 2},
    spin_ups={"ata-A": 7},
    disk_state_seconds={"ata-A": {"standby": 86400.0, "active": 60.5}},
    disk_wakes={"ata-A": {"cron.service": 4, "": 3}, HOSTILE_NAME: {HOSTILE_NAME: 1}},
    decisions=123_456_789,
)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    """Each sample by its name and labels; a combination of labels occurs once."""
    found: Samples = {}
    for family_ in text_string_to_metric_families(text):
        for sample in family_.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def values(status: Status | None, name: str, error: str | None = None) -> dict[str, float]:
    """The samples of one metric by their labels, in the order of the names of these."""
    return {
        " ".join(label for _, label in sorted(labels)): value
        for (each, labels), value in parsed(metrics_text(status, error, POLLS, COUNTERS)).items()
        if each == f"powerd_{name}"
    }


def test_up() -> None:
    assert values(family(), "up") == {"": 1}
    assert values(family(), "up", "decision late") == {"": 0}
    assert values(None, "up", "no decision") == {"": 0}
    assert values(None, "state") == {}


def test_state_has_one_value_of_1() -> None:
    states = values(idle(), "state")
    assert states == {
        state: state == "idle" for state in ("starting", "awake", "idle", "warning", "going-down", "asleep")
    }


def test_clients_and_reasons() -> None:
    assert values(family(), "clients") == {"present": 2, "dozing": 0, "absent": 2, "unknown": 1}
    assert values(family(), "awake_reasons") == {"anna-phone": 1, "kitchen-bulb": 1, "workshop.lan": 1}
    twice = replace(family().decision, reasons=family().decision.reasons[:1] * 2)
    assert values(replace(family(), decision=twice), "awake_reasons") == {"anna-phone": 2}


def test_sources_and_their_polls() -> None:
    assert values(clients_unavailable(), "source_up") == {"clients": 0}
    assert values(family(), "source_up") == {"clients": 1}
    assert values(family(), "source_poll_seconds") == {"clients": 1.25, "logind": 0.002}
    assert values(family(), "sweep_seconds") == {"": 1.25}


def test_a_check_is_1_if_one_of_its_activities_keeps_the_server_awake() -> None:
    checks = values(working(), "activity")
    assert (checks["disk_io"], checks["load"], checks["samba"], checks["nfs"]) == (1, 0, 1, 0)


def test_disks() -> None:
    states = values(disk_status(standby(), active()), "disk_state")
    assert {key for key, value in states.items() if value} == {
        f"{standby().disk.id} standby",
        f"{active().disk.id} active",
    }
    assert values(smart_status(), "smart_healthy") == {RED.id: 1, OLD.id: 0}
    assert values(smart_status(), "smart_temperature_celsius") == {RED.id: 31, OLD.id: 38}


def test_counters() -> None:
    assert values(None, "decisions_total") == {"": 123_456_789}
    assert values(None, "sleeps_total") == {"suspend": 3, "poweroff": 1}
    assert values(None, "asleep_seconds_total") == {"": 86400.5}
    assert values(None, "wakeups_total") == {"alarm": 2, "network": 2}
    assert values(None, "disk_spinups_total") == {"ata-A": 7}
    times = {"ata-A standby": 86400, "ata-A active": 60.5}
    assert values(None, "disk_state_seconds_total") == times
    wakes = {"ata-A cron.service": 4, "ata-A ": 3, f"{HOSTILE_NAME} {HOSTILE_NAME}": 1}
    assert values(None, "disk_wakes_total") == wakes


@pytest.mark.parametrize(
    "name", [HOSTILE_NAME, 'back\\slash" quote', "two\nlines", "a\\nb", "", "\udc80", "\r\x00"]
)
def test_names_that_others_choose(name: str) -> None:
    drive = standby()._replace(disk=replace(standby().disk, id=DiskId(name)))
    reason = Reason(name, name, family().now)
    given = family().decision.with_parts(DisksReport((drive,)))
    status = replace(family(), decision=replace(given, reasons=(reason,)))
    assert values(status, "awake_reasons") == {name: 1}
    assert f"{name} standby" in values(status, "disk_state")


@pytest.mark.process
def test_promtool_has_no_objection() -> None:
    for status in (hostile(), hostile_drive(), working(), None):
        text = metrics_text(status, None, POLLS, COUNTERS).encode(errors="replace")
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), text.decode()


def metric_rows() -> dict[str, str]:
    """The row of docs/metrics.md of each metric, by its name."""
    full = replace(woken(), decision=woken().decision.with_parts(*smart_status().decision.parts.values()))
    rows: dict[str, str] = {}
    for text in (metrics_text(each, None, POLLS, COUNTERS) for each in (full, family(), working())):
        for name, meaning in re.findall(r"^# HELP (\S+) (.*)\.$", text, re.MULTILINE):
            labels = dict.fromkeys(re.findall(rf"^{name}{{.*?(?=}} )", text, re.MULTILINE))
            names = dict.fromkeys(key for each in labels for key in re.findall(r'(\w+)="', each))
            cells = f"`{name}`", ", ".join(f"`{each}`" for each in names), meaning
            rows.setdefault(name, f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return rows


@pytest.mark.parametrize("file", ["contrib/grafana/powerd.json", "contrib/prometheus/powerd.rules.yml"])
def test_contributed_queries_use_existing_metrics(file: str) -> None:
    text = (ROOT / file).read_text()
    used = set(re.findall(r"\bpowerd_\w+", text))
    assert used
    assert used <= metric_rows().keys()


def test_the_page_lists_all_metrics() -> None:
    """REWRITE_GOLDEN=1 in the environment writes the table again."""
    file, table = ROOT / "docs/metrics.md", "\n".join(metric_rows().values())
    page = re.sub(
        r"^\| `powerd_.*(?:\n\| `powerd_.*)*", lambda _: table, file.read_text(), flags=re.MULTILINE
    )
    if os.environ.get("REWRITE_GOLDEN"):
        file.write_text(page)
    assert file.read_text() == page


def test_the_dashboard() -> None:
    panels = json.loads((ROOT / "contrib/grafana/powerd.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])


@pytest.mark.process
def test_promtool_reads_the_alert_rules() -> None:
    rules = ROOT / "contrib/prometheus/powerd.rules.yml"
    done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
