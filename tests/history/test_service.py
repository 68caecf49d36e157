"""The service is fed by decisions, and the API shows what it has recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ui.statuses import at, family

from powerd.config.options import Options
from powerd.core.service import Environment
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.history.service import HistoryService
from powerd.simulation.clock import StoppedClock
from powerd.ui.api import blockers_json


def test_the_blockers_of_a_decision() -> None:
    environment = Environment(StoppedClock(), StateStore(), Options, Storage(None), pytest.fail, "")
    service = HistoryService(environment, lambda: True)
    status = family()
    blockers = {(each.subject, each.text) for each in status.decision.reasons if each.blocks_sleep}
    assert blockers
    service.on_decision(replace(status, now=at()))
    service.on_decision(replace(status, now=at(90)))
    document = blockers_json(service.blocker_times, at(90))
    assert {(row["subject"], row["text"], row["seconds"]) for row in document["blockers"]} == {
        (*blocker, 90.0) for blocker in blockers
    }
    assert document["since"] == "2026-01-12T21:16:00+01:00"
