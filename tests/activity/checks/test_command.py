from __future__ import annotations

import asyncio

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.checks.command import CommandCheck, Options
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.linux.subprocess import OUTPUT_CAP
from powerd.linux.values import HostError, ProcessResult

ACTIVE = Options(command=("/usr/bin/systemctl", "is-active", "backup"))
JOBS = Options(command=("/usr/bin/jobs", "--json"), jmespath="[?running].name", text="runs")


def poll(options: Options, result: ProcessResult) -> Activity:
    ports = RecordingPorts(command_result=result)
    (activity,) = asyncio.run(CommandCheck(options, check_ports(ports.ports())).poll(PollDepth.FULL))
    assert ports.calls == [("run", options.command, options.timeout)]
    return activity


@pytest.mark.parametrize(("status", "awake"), [(0, True), (1, False)])
def test_the_status_decides_without_an_expression(status: int, awake: bool) -> None:  # noqa: FBT001 - a row
    activity = poll(ACTIVE, ProcessResult(status, "active", ""))
    assert activity.keeps_awake is awake
    assert activity.subject == "systemctl"


@pytest.mark.parametrize("status", [2, 127, -9])
def test_any_other_status_is_a_failure(status: int) -> None:
    with pytest.raises(HostError):
        poll(ACTIVE, ProcessResult(status, "", "no such unit"))


def test_the_output_decides_with_an_expression() -> None:
    running = poll(JOBS, ProcessResult(0, '[{"name": "home", "running": true}]', ""))
    assert (running.keeps_awake, running.text) == (True, "runs: home")
    assert not poll(JOBS, ProcessResult(0, "[]", "")).keeps_awake


@pytest.mark.parametrize(
    "result",
    [
        ProcessResult(1, "[]", ""),
        ProcessResult(0, "", ""),
        ProcessResult(0, "{}", ""),
        ProcessResult(0, "[" + " " * OUTPUT_CAP, ""),
    ],
)
def test_another_output_is_a_failure(result: ProcessResult) -> None:
    with pytest.raises(HostError):
        poll(JOBS, result)


@pytest.mark.parametrize("given", [{}, {"jmespath": "a"}, {"require": "a"}, {"jmespath": "a", "regex": "b"}])
def test_invalid_combinations(given: dict[str, str]) -> None:
    command = () if "require" not in given and "regex" not in given else ("/bin/true",)
    with pytest.raises(ValueError, match="requires"):
        Options(command=command, **given)  # type: ignore[arg-type] # as the loader calls it
