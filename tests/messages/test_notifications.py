"""Findings on their way to people: who is run, with what, and that nothing of it is fatal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fakes.ports import RecordingPorts

from powerd.config.options import HookOptions
from powerd.linux.subprocess import HostProcesses
from powerd.linux.values import ProcessResult
from powerd.messages.notifications import Notifications
from powerd.simulation.virtual_loop import run

FINDING = {
    "disk": "ata-A_1",
    "device": "sda",
    "severity": "alarm",
    "kind": "pending",
    "text": "8 of its sectors cannot be read",
    "advice": "check your backup",
}
HOOK = HookOptions(alert=("/usr/local/bin/notify", "--loud"), timeout=20.0)
URLS = HookOptions(notify=("ntfy://secret", "mailto://user:word@example.org"))


class SlowCommands(RecordingPorts):
    """Each command takes two seconds; ``most`` is how many ever ran at the same time."""

    running = most = 0

    async def run(self, argv, **about):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN003, ANN201 - as Hands.run
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(2)
        self.running -= 1
        return await super().run(argv, **about)


def run_scenario(scene: Callable[[SlowCommands, Notifications, list[str]], Awaitable[None]]) -> None:
    async def main() -> None:
        hands, complaints = SlowCommands(), list[str]()
        await scene(hands, Notifications(hands, complaints.append), complaints)

    run(main())


def test_the_hook_gets_the_finding_on_standard_input() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, complaints: list[str]) -> None:
        alerts.send(HOOK, FINDING)
        await asyncio.sleep(3)
        ((_, argv, seconds, document),) = hands.calls
        assert (argv, seconds) == (HOOK.alert, 20.0)
        assert isinstance(document, bytes)
        assert json.loads(document) == FINDING
        assert complaints == []

    run_scenario(scene)


def test_urls_go_to_the_sender_on_standard_input_alone() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, complaints: list[str]) -> None:
        alerts.send(URLS, FINDING)
        await asyncio.sleep(3)
        ((_, argv, _, document),) = hands.calls
        assert "secret" not in str(argv), "an argument is there for all to see"
        assert isinstance(document, bytes)
        assert json.loads(document) == {
            "urls": list(URLS.notify),
            "title": "sda: alarm",
            "body": "8 of its sectors cannot be read; check your backup",
            "severity": "alarm",
        }
        assert complaints == []

    run_scenario(scene)


def test_no_recipient() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, complaints: list[str]) -> None:
        alerts.send(HookOptions(), FINDING)
        await asyncio.sleep(3)
        assert (hands.calls, complaints) == ([], [])

    run_scenario(scene)


def test_one_at_a_time_and_no_more_than_a_hundred() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, complaints: list[str]) -> None:
        for _ in range(103):
            alerts.send(HOOK, FINDING)
        await asyncio.sleep(300)
        assert (len(hands.calls), hands.most) == (100, 1)
        assert complaints == [f"hooks.alert: {FINDING['text']}: not told, as 100 others wait"] * 3
        alerts.send(HOOK, FINDING)
        await asyncio.sleep(3)
        assert len(hands.calls) == 101

    run_scenario(scene)


@pytest.mark.parametrize(
    ("options", "name"), [(HOOK, "hooks.alert: /usr/local/bin/notify"), (URLS, "hooks.notify: ")]
)
def test_a_failure_is_reported(options: HookOptions, name: str) -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, complaints: list[str]) -> None:
        hands.command_result = ProcessResult(3, "", "no network\n")
        alerts.send(options, FINDING)
        await asyncio.sleep(3)
        hands.error = "cannot run it: there is no such program"
        alerts.send(options, FINDING)
        await asyncio.sleep(3)
        assert complaints[0].startswith(name)
        assert complaints[0].endswith("ended with status 3: no network")
        assert complaints[1].endswith("there is no such program")

    run_scenario(scene)


def test_the_shutdown_waits_a_little_for_running_messages() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, _complaints: list[str]) -> None:
        loop = asyncio.get_running_loop()
        await alerts.close()
        for _ in range(9):
            alerts.send(HOOK, FINDING)
        begun = loop.time()
        await alerts.close()
        assert loop.time() - begun == pytest.approx(5, abs=0.01)
        assert len(hands.calls) == 2

    run_scenario(scene)


@pytest.mark.process
def test_a_real_hook_reads_it(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    options = HookOptions(alert=("/bin/sh", "-c", f"cat > {heard}"))

    async def main() -> list[str]:
        complaints: list[str] = []
        alerts = Notifications(HostProcesses(), complaints.append)
        alerts.send(options, FINDING)
        await alerts.close()
        return complaints

    assert asyncio.run(main()) == []
    assert json.loads(heard.read_text()) == FINDING
