"""A person requests a sleep of the whole daemon, on virtual time."""

from __future__ import annotations

import asyncio
import errno
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from test_daemon import NIGHTLY, DaemonScenario, run_daemon

from powerd.core.actions import RequestRefusedError, WakeTime
from powerd.core.engine import HEARTBEAT
from powerd.linux.dbus import NoReplyError
from powerd.linux.values import LogindEvent, ProcessResult
from powerd.messages.alarms import alarms
from powerd.mqtt.service import MqttService
from powerd.power.model import SleepRequestFacts, SuspendFailures
from powerd.power.sleep_rules import SLEEP_FAILED_AFTER
from powerd.simulation.lan import ANSWERS

_LATER = 120.0
"""Seconds after which an idle server has slept by request: the warning of a minute, and polls."""


def _is_requested(h: DaemonScenario) -> bool:
    return h.daemon.state.snapshot().part(SleepRequestFacts).sleep_request is not None


async def _with_somebody_home(h: DaemonScenario) -> None:
    h.host.replies["10.0.0.2"] = ANSWERS
    await asyncio.sleep(300)


@pytest.mark.parametrize("sleeps", [True, False])
def test_a_command_that_has_timed_out_may_still_cause_a_sleep(
    monkeypatch: pytest.MonkeyPatch, *, sleeps: bool
) -> None:
    """It may have asked a hypervisor, or started another program: the alarm stays until that is known."""

    async def test(h: DaemonScenario) -> None:
        run, is_called = h.host.run, asyncio.Event()

        async def time_out(*args: Any, **more: Any) -> ProcessResult:  # noqa: ANN401 - of any command
            h.host.command_duration = 35.0
            monkeypatch.setattr(h.host, "run", run)
            is_called.set()
            return await run(*args, **more)

        monkeypatch.setattr(h.host, "run", time_out)
        await is_called.wait()
        await asyncio.sleep(40)
        h.host.command_duration = 0.0
        assert h.host.seconds_to_alarm() is not None
        assert h.done() == ["broadcast", "run"]
        if sleeps:
            h.host.clock.slept += 3600  # and nobody announces it
            await asyncio.sleep(HEARTBEAT)
        else:
            await asyncio.sleep(SLEEP_FAILED_AFTER + HEARTBEAT)
            (alarm,) = alarms(h.status)
            assert alarm.text.endswith("/bin/suspend-vm was still running after 30 s and was ended")
            (record,) = [each for each in h.daemon.history.record.sleeps if each.result == "failed"]
            assert "still running" in record.detail
        assert h.host.seconds_to_alarm() is None
        assert [call[1] for call in h.host.calls if call[0] == "run"] == [
            ("/bin/suspend-vm",),
            ("/bin/start",),
        ]
        await asyncio.sleep(120)
        assert h.done().count("run") == (2 if sleeps else 3), "a failed one is tried again"

    command = 'action = "command"\ncommand = ["/bin/suspend-vm"]\ntimeout = "30s"'
    hooks = '[hooks]\nafter_wake = ["/bin/start"]\n[wake]\nat = ["06:30"]\n'
    run_daemon(test, NIGHTLY.replace('action = "suspend"', command) + hooks)


def test_a_request_answers_what_it_waits_for_and_is_carried_out_once() -> None:
    async def test(h: DaemonScenario) -> None:
        await _with_somebody_home(h)
        accepted = await h.daemon.requests.sleep(over_clients=False)
        assert accepted.status is not None
        assert [each.subject for each in accepted.status.decision.reasons if each.blocks_sleep] == ["host2"]
        await asyncio.sleep(1200)
        assert h.done() == []
        h.host.replies.clear()
        await asyncio.sleep(120 + 60 + _LATER)
        assert h.done() == ["broadcast", "logind"]
        assert not _is_requested(h)

    run_daemon(test)


def test_now_passes_over_somebody_who_is_home() -> None:
    async def test(h: DaemonScenario) -> None:
        await _with_somebody_home(h)
        accepted = await h.daemon.requests.sleep(over_clients=True)
        assert accepted.status is not None
        assert accepted.status.decision.planned_sleep is not None
        await asyncio.sleep(_LATER)
        assert h.done() == ["broadcast", "logind"]
        await asyncio.sleep(3600)
        assert h.done() == ["broadcast", "logind"], "once"

    run_daemon(test)


def test_a_sleep_that_the_kernel_aborts_has_failed_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(h: DaemonScenario) -> None:
        def fail(_: str) -> None:
            def aborted() -> None:
                count = h.host.suspend_failures.steps + 1
                failures = SuspendFailures(count, count, "suspend", "0000:00:14.0 (xhci_hcd)", errno.EBUSY)
                h.host.suspend_failures = failures
                h.host.wake_up(0.0)

            h.host.emit(LogindEvent("sleep"))
            asyncio.get_running_loop().call_later(5, aborted)

        monkeypatch.setattr(h.host, "fall_asleep", fail)
        await asyncio.sleep(3600)
        (alarm,) = alarms(h.status)
        assert alarm.text.endswith(
            "0000:00:14.0 (xhci_hcd) failed in the step suspend, Device or resource busy"
        )
        record, *_ = [each for each in h.daemon.history.record.sleeps if each.result == "failed"]
        assert "xhci_hcd" in record.detail
        assert any("xhci_hcd" in reason.text for reason in h.status.decision.reasons)

    run_daemon(test, NIGHTLY)


async def _accepted_without_sleep(h: DaemonScenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Request a sleep that logind accepts and does not perform."""
    monkeypatch.setattr(h.host, "fall_asleep", lambda _: None)
    await _with_somebody_home(h)
    await h.daemon.requests.sleep(over_clients=True)
    await asyncio.sleep(_LATER)


@pytest.mark.parametrize("no_reply", [False, True])
def test_a_sleep_that_logind_accepts_and_does_not_perform_has_failed_and_is_undone(
    monkeypatch: pytest.MonkeyPatch, *, no_reply: bool
) -> None:
    """Also if D-Bus ends before the reply: logind may have accepted it, so the alarm stays until then."""

    async def test(h: DaemonScenario) -> None:
        if no_reply:
            request_sleep = h.host.request_sleep

            async def lose_reply(action: str) -> None:
                await request_sleep(action)
                raise NoReplyError("systemd-logind gave no answer")

            monkeypatch.setattr(h.host, "request_sleep", lose_reply)
        await _accepted_without_sleep(h, monkeypatch)
        assert h.done() == ["broadcast", "run", "logind"]
        assert h.host.seconds_to_alarm() is not None
        await asyncio.sleep(SLEEP_FAILED_AFTER + HEARTBEAT)
        (alarm,) = alarms(h.status)
        assert (alarm.id, "did not go to sleep" in alarm.text) == ("sleep", True)
        assert h.done() == ["broadcast", "run", "logind", "run"], "the hook after_wake"
        assert h.host.seconds_to_alarm() is None
        (record,) = [each for each in h.daemon.history.record.sleeps if each.result == "failed"]
        assert "did not go to sleep" in record.detail

    hooks = '[hooks]\nbefore_sleep = ["/bin/stop"]\nafter_wake = ["/bin/start"]\n[wake]\nat = ["06:30"]\n'
    run_daemon(test, NIGHTLY + hooks)


@pytest.mark.parametrize("late_reply", [False, True])
def test_a_sleep_that_is_announced_and_dropped_is_one_failure_at_once(
    monkeypatch: pytest.MonkeyPatch, *, late_reply: bool
) -> None:
    """As a suspend that the kernel refuses. It is undone, tried again, and has one record of each attempt."""

    async def test(h: DaemonScenario) -> None:
        fall_asleep = h.host.fall_asleep
        monkeypatch.setattr(h.host, "fall_asleep", lambda action: fall_asleep(action, fails=True))
        if late_reply:
            request_sleep = h.host.request_sleep

            async def slow(action: str) -> None:
                await request_sleep(action)
                await asyncio.sleep(7)

            monkeypatch.setattr(h.host, "request_sleep", slow)
        await asyncio.sleep(750)
        (alarm,) = alarms(h.status)
        assert alarm.id == "sleep"
        failures = [each for each in h.daemon.history.record.sleeps if each.result == "failed"]
        assert [(each.action, each.rule) for each in failures] == [("suspend", 0)]
        await asyncio.sleep(SLEEP_FAILED_AFTER + HEARTBEAT)
        begins = {each.begin for each in h.daemon.history.record.sleeps if each.result == "failed"}
        attempts = [each for each in h.host.performed if each[1] == "suspend"]
        assert 2 <= len(begins) == len(attempts)

    run_daemon(test)


def test_a_power_off_that_does_not_take_place_says_nothing_of_a_later_boot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def test(h: DaemonScenario) -> None:
        await _accepted_without_sleep(h, monkeypatch)
        assert "logind" in h.done()
        assert (tmp_path / "unrest.json").exists()
        await asyncio.sleep(SLEEP_FAILED_AFTER + HEARTBEAT)
        assert not (tmp_path / "unrest.json").exists()

    run_daemon(test, NIGHTLY.replace('"suspend"', '"poweroff"'), tmp_path)


@pytest.mark.parametrize("over_clients", [False, True])
def test_a_keep_calls_it_off(over_clients: bool) -> None:  # noqa: FBT001 - a parameter
    async def test(h: DaemonScenario) -> None:
        await _with_somebody_home(h)
        await h.daemon.requests.sleep(over_clients=over_clients)
        await h.daemon.requests.keep(60, "")
        assert not _is_requested(h)
        await asyncio.sleep(600)
        assert "logind" not in h.done()

    run_daemon(test)


def test_it_is_called_off_once() -> None:
    async def test(h: DaemonScenario) -> None:
        await _with_somebody_home(h)
        accepted = await h.daemon.requests.sleep(over_clients=True)
        assert await h.daemon.requests.cancel_sleep() == accepted.request
        with pytest.raises(RequestRefusedError):
            await h.daemon.requests.cancel_sleep()
        await asyncio.sleep(600)
        assert "logind" not in h.done()

    run_daemon(test)


@pytest.mark.parametrize("seconds", [0.1, 2.0, 4.5, 6.0])
@pytest.mark.parametrize("how", ["keep", "hold", "cancel"])
def test_during_the_preparation_a_sleep_can_be_called_off(
    how: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker and the recipients of messages may take some seconds of it."""
    calls: list[str] = []

    async def test(h: DaemonScenario) -> None:
        requests = h.daemon.requests

        async def announce(_service: MqttService, _wake_time: WakeTime | None) -> None:
            calls.append(how)
            await asyncio.sleep(seconds / 2)
            if how == "cancel":
                await requests.cancel_sleep()
            elif how == "keep":
                await requests.keep(3600, "")
            else:
                holds.enter_context(requests.keep_awake.hold("rsync"))
            await asyncio.sleep(seconds / 2)

        monkeypatch.setattr(MqttService, "before_sleep", announce)
        await _with_somebody_home(h)
        await requests.sleep(over_clients=True)
        await asyncio.sleep(_LATER)
        assert (calls, "logind" in h.done()) == ([how], False)

    with ExitStack() as holds:
        run_daemon(test)


@pytest.mark.long
@pytest.mark.parametrize("over_clients", [False, True])
def test_a_forgotten_request_ends(over_clients: bool) -> None:  # noqa: FBT001 - a parameter
    lasts = 2 * 3600 if over_clients else 12 * 3600

    async def test(h: DaemonScenario) -> None:
        await _with_somebody_home(h)
        with h.daemon.requests.keep_awake.hold("rsync"):
            await h.daemon.requests.sleep(over_clients=over_clients)
            await asyncio.sleep(lasts - 1)
            assert _is_requested(h)
            await asyncio.sleep(2)
            assert not _is_requested(h)
        await asyncio.sleep(600)
        assert h.done() == []

    run_daemon(test)


def test_in_observe_mode_it_says_what_it_would_do() -> None:
    async def test(h: DaemonScenario) -> None:
        await _with_somebody_home(h)
        await h.daemon.requests.sleep(over_clients=True)
        await asyncio.sleep(65)
        assert h.done() == []
        reasons = [reason.text for status in h.statuses for reason in status.decision.reasons]
        assert any("a person has requested" in text for text in reasons)
        assert not _is_requested(h)

    run_daemon(test, NIGHTLY.replace("enforce", "observe"))


def test_without_a_rule_it_is_refused() -> None:
    async def test(h: DaemonScenario) -> None:
        with pytest.raises(RequestRefusedError, match=r"\[\[sleep\]\]"):
            await h.daemon.requests.sleep(over_clients=True)

    run_daemon(test, "mode = 'enforce'\n")
