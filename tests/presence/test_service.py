"""What the service stores when powerd stops."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes.ports import RecordingPorts

from powerd.config.load import parse
from powerd.core.poller import PollDepth
from powerd.core.service import Environment
from powerd.core.storage import Storage
from powerd.linux.values import HostError
from powerd.presence.model import ClientId
from powerd.presence.neighbours import load_learned_hosts, save_learned_hosts
from powerd.presence.service import PresenceService, load_silences, save_silences
from powerd.presence.silences import NapClass, Silences, add_nap
from powerd.simulation.clock import BEGIN, SimulatedClock
from powerd.simulation.lan import SimulatedLan, mac
from powerd.simulation.virtual_loop import run

DAY = 86400.0


def environment(storage: Storage) -> Environment:
    options = parse(b"", "test")
    environment: Any = SimpleNamespace(
        options=lambda: options, storage=storage, clock=SimulatedClock(), new_poller=lambda source: source
    )
    return cast("Environment", environment)


def test_what_is_stored_survives_a_start_without_carrier(tmp_path: Path) -> None:
    """No poll has read the clock by the time powerd stops again."""
    storage = Storage(tmp_path)
    client = ClientId(mac(1))
    silences = add_nap(Silences(since=BEGIN - 20 * DAY, last=BEGIN), 300, BEGIN)
    save_silences(storage, {client: silences, ClientId(mac(3)): Silences()}, BEGIN, DAY)  # it never answered
    hosts = {(mac(1), "10.0.0.1"): BEGIN, (mac(2), "fe80::2%eth0"): BEGIN}
    save_learned_hosts(storage, hosts, BEGIN)

    async def main() -> None:
        lan = SimulatedLan(link_up=False)
        service = PresenceService(lan, lan, RecordingPorts(), environment(storage), lambda: True)
        (source,) = service.pollers
        with pytest.raises(HostError):
            await cast("Any", source).poll(PollDepth.ROUTINE)
        service.close()

    run(main())
    assert load_silences(storage, BEGIN) == {client: silences}
    assert load_learned_hosts(storage, BEGIN) == hosts


def test_no_stored_time_is_after_the_present(tmp_path: Path) -> None:
    """The clock of the machine was ahead when they were stored."""
    storage = Storage(tmp_path)
    ahead = Silences(since=BEGIN + 365 * DAY, last=BEGIN + 365 * DAY, surprised_at=BEGIN + 365 * DAY)
    save_silences(storage, {ClientId(mac(1)): ahead}, BEGIN, DAY)
    (loaded,) = load_silences(storage, BEGIN + 60).values()
    assert loaded == Silences(since=BEGIN + 60, last=BEGIN + 60, surprised_at=BEGIN + 60)


def test_the_first_form_of_the_document_is_read(tmp_path: Path) -> None:
    silences = {
        "nap_classes": [[9, 2.0, 300.0, BEGIN]],
        "count": 2,
        "answered": 60.0,
        "since": BEGIN - DAY,
        "last": BEGIN,
        "surprises": 1,
        "surprised_at": BEGIN - DAY,
        "card_at": None,
    }
    document = {"saved": BEGIN, "clients": {mac(1): silences, mac(2): {"nap_classes": 7}, mac(3): 7}}
    (tmp_path / "silences.json").write_text(json.dumps(document))
    loaded = load_silences(Storage(tmp_path), BEGIN)[ClientId(mac(1))]
    assert loaded.nap_classes == (NapClass(9, 2.0, 300.0, BEGIN),)
    assert loaded.count == 2
    assert add_nap(loaded, 300, BEGIN + 60).nap_classes[0].first == BEGIN
