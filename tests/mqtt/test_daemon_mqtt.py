"""The whole daemon and another server at a broker, on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.broker import FakeBroker
from test_daemon import NIGHTLY, DaemonScenario, run_daemon

from powerd.linux.ports import Ports
from powerd.linux.values import ProcessResult
from powerd.mqtt.model import PeerFacts
from powerd.simulation.world import Household

CONFIG = (
    NIGHTLY.replace('"10min"', '"1min"')
    + '[hooks]\nbefore_sleep = ["/bin/true"]\n[mqtt]\nbroker = "mqtt://10.0.0.9"\nname = "nas"\n'
)

MAC = "02:00:00:00:00:09"


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    """The broker of every daemon."""
    broker, ports = FakeBroker(), Household.ports

    def with_broker(host: Household) -> Ports:
        return replace(ports(host), connect_to_broker=broker.connect)

    monkeypatch.setattr(Household, "ports", with_broker)
    return broker


def states(broker: FakeBroker) -> list[str]:
    """The states that the server has published."""
    found = [json.loads(text)["state"] for topic, text in broker.published if topic == "powerd/nas/server"]
    return [each for n, each in enumerate(found) if n == 0 or found[n - 1] != each]


def test_a_sleep_is_announced_after_the_hook(broker: FakeBroker) -> None:
    async def test(h: DaemonScenario) -> None:
        run_it = h.host.run

        async def slowly(argv: Sequence[str], **rest: Any) -> ProcessResult:  # noqa: ANN401 - as they came
            await asyncio.sleep(100)
            assert states(broker) == ["up"]
            return await run_it(argv, **rest)

        h.host.run = slowly  # type: ignore[method-assign] # it takes time
        await asyncio.sleep(400)
        assert "logind" in h.done()
        assert states(broker)[:2] == ["up", "asleep"]

    run_daemon(test, CONFIG)


@pytest.mark.parametrize("when", ["hook", "farewell"])
def test_a_server_that_begins_to_need_this_one_before_it_sleeps_is_not_let_down(
    broker: FakeBroker, when: str
) -> None:
    def begin() -> None:
        broker.stored["powerd/tv/server"] = text = json.dumps({"state": "up", "needs": ["nas"]})
        broker.send("powerd/tv/server", text)

    async def test(h: DaemonScenario) -> None:
        run_it = h.host.run

        async def slowly(argv: Sequence[str], **rest: Any) -> ProcessResult:  # noqa: ANN401 - as they came
            await asyncio.sleep(2)
            if when == "hook":
                begin()
            else:  # while the broker takes its time to acknowledge
                broker.acknowledges = False
                asyncio.get_running_loop().call_later(_until_farewell, begin)
            return await run_it(argv, **rest)

        h.host.run = slowly  # type: ignore[method-assign] # it takes time
        await asyncio.sleep(400)
        assert "logind" not in h.done()
        assert states(broker) == (["up"] if when == "hook" else ["up", "asleep", "up"])

    run_daemon(test, CONFIG)


@pytest.mark.parametrize("needs", [["nas"], []])
def test_a_broker_that_does_not_acknowledge_a_sleep_prevents_it_where_others_need_this_server(
    broker: FakeBroker, needs: list[str]
) -> None:
    """It was cut off, which nobody has noticed, and the other server may have woken up since then."""
    broker.stored["powerd/tv/server"] = json.dumps({"state": "asleep", "needs": needs})

    async def test(h: DaemonScenario) -> None:
        run_it = h.host.run

        async def cut_off(argv: Sequence[str], **rest: Any) -> ProcessResult:  # noqa: ANN401 - as they came
            broker.acknowledges, broker.error = False, "no answer"
            return await run_it(argv, **rest)

        h.host.run = cut_off  # type: ignore[method-assign] # it happens then
        await asyncio.sleep(400)
        assert ("logind" not in h.done()) == bool(needs)

    run_daemon(test, CONFIG)


_until_farewell = 1.0
"""Seconds from the end of the hook into the farewell, which takes two: the polls between them take none."""


def test_a_broker_on_a_needed_server_that_sleeps_is_woken_and_keeps_nobody_awake(
    broker: FakeBroker, tmp_path: Path
) -> None:
    """It is known from an earlier run that the NAS, on which the broker runs, needs nobody."""
    config = CONFIG.replace('name = "nas"', 'name = "media"\nneeds = ["nas"]')
    nas = {"state": "up", "needs": [], "macs": [MAC], "addresses": ["10.0.0.9"]}
    broker.stored["powerd/nas/server"] = json.dumps(nas)

    async def evening(h: DaemonScenario) -> None:
        await asyncio.sleep(90)
        assert "magic" not in h.done()

    async def next_day(h: DaemonScenario) -> None:
        broker.stop("no answer")
        await asyncio.sleep(30)
        assert ("magic", MAC, ("10.0.0.255",)) in h.host.calls
        assert not any(each.subject == "mqtt" and each.blocks_sleep for each in h.status.decision.reasons)
        broker.error = None  # it has woken up
        await asyncio.sleep(60)
        assert h.daemon.state.snapshot().part(PeerFacts).synchronised
        woken = h.done().count("magic")
        await asyncio.sleep(360)
        assert h.done().count("magic") == woken
        assert "logind" in h.done()

    run_daemon(evening, config, tmp_path)
    run_daemon(next_day, config, tmp_path)
