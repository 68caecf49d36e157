from __future__ import annotations

import asyncio
from typing import get_args

import pytest
from fakes.ports import RecordingPorts, RecordingTransition

from powerd.core.actions import ActionResult, Sleep, SleepAction
from powerd.linux.values import HostError, ProcessResult
from powerd.power import actuator

COMMAND = Sleep(1, "command", ("/usr/local/sbin/goodnight", "--quietly"), timeout=90.0)


def execute_action(action: Sleep, ports: RecordingPorts) -> ActionResult:
    return asyncio.run(actuator.execute_sleep(action, ports, ports, RecordingTransition(ports)))


@pytest.mark.parametrize("action", [action for action in get_args(SleepAction) if action != "command"])
def test_all_other_actions_are_logind_s(action: SleepAction) -> None:
    ports = RecordingPorts()
    assert execute_action(Sleep(0, action), ports) == ActionResult(True, f"logind accepted: {action}")
    assert ports.calls == [("prepare", action), ("logind", action)]


def test_without_a_set_alarm_no_sleep_is_requested() -> None:
    ports = RecordingPorts()
    with pytest.raises(HostError, match="shows none"):
        asyncio.run(
            actuator.execute_sleep(
                COMMAND, ports, ports, RecordingTransition(ports, "rtc0 took an alarm and then shows none")
            )
        )
    assert ports.calls == [("prepare", "command"), ("cancel",)]


def test_a_sleep_that_is_refused_is_turned_back_from() -> None:
    ports = RecordingPorts(error="backup blocks it")
    with pytest.raises(HostError, match="backup"):
        execute_action(Sleep(0, "suspend"), ports)
    assert ports.calls == [("prepare", "suspend"), ("logind", "suspend"), ("cancel",)]


def test_a_command_is_run_unchanged_with_its_timeout() -> None:
    ports = RecordingPorts()
    assert execute_action(COMMAND, ports) == ActionResult(True, "ran /usr/local/sbin/goodnight --quietly")
    assert ports.calls == [("prepare", "command"), ("run", COMMAND.command, 90.0)]


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (ProcessResult(3, "", ""), "/usr/local/sbin/goodnight ended with status 3"),
        (ProcessResult(-9, "", ""), "/usr/local/sbin/goodnight was ended by signal 9"),
        (
            ProcessResult(1, "out", "one\nno such pool\n\n"),
            "/usr/local/sbin/goodnight ended with status 1: no such pool",
        ),
        (ProcessResult(1, "", "  \n"), "/usr/local/sbin/goodnight ended with status 1"),
    ],
)
def test_a_failed_command_is_reported_with_its_last_line(end: ProcessResult, text: str) -> None:
    ports = RecordingPorts(command_result=end)
    assert execute_action(COMMAND, ports) == ActionResult(False, text)
    assert ports.calls[-1] == ("cancel",)


def test_the_last_line_is_cut_to_its_limit() -> None:
    assert (
        len(
            execute_action(COMMAND, RecordingPorts(command_result=ProcessResult(1, "", "x" * 10_000))).message
        )
        < 300
    )
