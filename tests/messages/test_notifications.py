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
        hands, errors = SlowCommands(), list[str]()
        await scene(hands, Notifications(hands, errors.append), errors)

    run(main())


def test_the_hook_gets_the_finding_on_standard_input() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, errors: list[str]) -> None:
        alerts.send(HOOK, FINDING)
        await asyncio.sleep(3)
        ((_, argv, seconds, document),) = hands.calls
        assert (argv, seconds) == (HOOK.alert, 20.0)
        assert isinstance(document, bytes)
        assert json.loads(document) == FINDING
        assert errors == []

    run_scenario(scene)


def test_urls_go_to_the_sender_on_standard_input_alone() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, errors: list[str]) -> None:
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
        assert errors == []

    run_scenario(scene)


def test_no_recipient() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, errors: list[str]) -> None:
        alerts.send(HookOptions(), FINDING)
        await asyncio.sleep(3)
        assert (hands.calls, errors) == ([], [])

    run_scenario(scene)


def test_one_at_a_time_and_no_more_than_a_hundred() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, errors: list[str]) -> None:
        for _ in range(103):
            alerts.send(HOOK, FINDING)
        await asyncio.sleep(300)
        assert (len(hands.calls), hands.most) == (100, 1)
        assert errors == [f"hooks.alert: {FINDING['text']}: not sent, because 100 others are waiting"] * 3
        alerts.send(HOOK, FINDING)
        await asyncio.sleep(3)
        assert len(hands.calls) == 101

    run_scenario(scene)


@pytest.mark.parametrize(
    ("options", "name"), [(HOOK, "hooks.alert: /usr/local/bin/notify"), (URLS, "hooks.notify: ")]
)
def test_a_failure_is_reported(options: HookOptions, name: str) -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, errors: list[str]) -> None:
        hands.command_result = ProcessResult(3, "", "no network\n")
        alerts.send(options, FINDING)
        await asyncio.sleep(3)
        hands.error = "cannot run it: there is no such program"
        alerts.send(options, FINDING)
        await asyncio.sleep(3)
        assert errors[0].startswith(name)
        assert errors[0].endswith("ended with status 3: no network")
        assert errors[1].endswith("there is no such program")

    run_scenario(scene)


def test_the_shutdown_waits_a_little_for_running_messages() -> None:
    async def scene(hands: SlowCommands, alerts: Notifications, _errors: list[str]) -> None:
        loop = asyncio.get_running_loop()
        await alerts.close()
        for _ in range(9):
            alerts.send(HOOK, FINDING)
        start = loop.time()
        await alerts.close()
        assert loop.time() - start == pytest.approx(5, abs=0.01)
        assert len(hands.calls) == 2

    run_scenario(scene)


@pytest.mark.process
def test_a_real_hook_reads_it(tmp_path: Path) -> None:
    events = tmp_path / "heard"
    options = HookOptions(alert=("/bin/sh", "-c", f"cat > {events}"))

    async def main() -> list[str]:
        errors: list[str] = []
        alerts = Notifications(HostProcesses(), errors.append)
        alerts.send(options, FINDING)
        await alerts.close()
        return errors

    assert asyncio.run(main()) == []
    assert json.loads(events.read_text()) == FINDING
