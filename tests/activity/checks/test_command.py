from __future__ import annotations

import asyncio

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.checks.command import KIND, CommandCheck, Options
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.linux.subprocess import OUTPUT_CAP
from powerd.linux.values import HostError, ProcessResult

HAS_WORK = Options(command=("/usr/local/bin/has-work",))
JOBS = Options(command=("/usr/bin/jobs", "--json"), jmespath="[?running].name", text="runs")


def poll(options: Options, result: ProcessResult) -> Activity:
    ports = RecordingPorts(command_result=result)
    (activity,) = asyncio.run(CommandCheck(options, check_ports(ports.ports())).poll(PollDepth.FULL))
    assert ports.calls == [("run", options.command, options.timeout)]
    return activity


@pytest.mark.parametrize(("status", "awake"), [(0, True), (1, False)])
def test_the_status_decides_without_an_expression(status: int, awake: bool) -> None:  # noqa: FBT001 - a row
    activity = poll(HAS_WORK, ProcessResult(status, "active", ""))
    assert activity.keeps_awake is awake
    assert activity.subject == "has-work"


@pytest.mark.parametrize("status", [2, 127, -9])
def test_any_other_status_is_a_failure(status: int) -> None:
    with pytest.raises(HostError):
        poll(HAS_WORK, ProcessResult(status, "", "no such unit"))


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
        ProcessResult(0, '["' + "ü" * (OUTPUT_CAP // 2) + '"]', ""),
    ],
)
def test_another_output_is_a_failure(result: ProcessResult) -> None:
    with pytest.raises(HostError):
        poll(JOBS, result)


@pytest.mark.parametrize(
    "stdout",
    [
        "x" * OUTPUT_CAP,
        "ü" * (OUTPUT_CAP // 2),
        "\u20ac" * (OUTPUT_CAP // 3) + "\ufffd",
        "\U0001f600" * (OUTPUT_CAP // 4),
    ],
    ids=["1 byte", "2 bytes", "3 bytes, cut within one", "4 bytes"],
)
def test_an_output_that_was_cut_is_a_failure(stdout: str) -> None:
    with pytest.raises(HostError):
        poll(Options(command=("/usr/bin/jobs",), regex="^running"), ProcessResult(0, stdout, ""))


@pytest.mark.parametrize(
    ("state", "awake"),
    [
        ("active", True),
        ("activating", True),
        ("of-a-later-systemd", True),
        ("inactive", False),
        ("failed", False),
    ],
)
def test_the_example(state: str, *, awake: bool) -> None:
    """The output is that of systemctl 252, which ends with status 0 for a unit that does not exist too."""
    assert isinstance(KIND.example, Options)
    result = ProcessResult(0, f"LoadState=loaded\nActiveState={state}\n", "")
    assert poll(KIND.example, result).keeps_awake is awake
    with pytest.raises(HostError):
        poll(KIND.example, ProcessResult(0, "LoadState=not-found\nActiveState=inactive\n", ""))


@pytest.mark.parametrize("given", [{}, {"jmespath": "a"}, {"require": "a"}, {"jmespath": "a", "regex": "b"}])
def test_invalid_combinations(given: dict[str, str]) -> None:
    command = () if "require" not in given and "regex" not in given else ("/bin/true",)
    with pytest.raises(ValueError, match="requires"):
        Options(command=command, **given)  # type: ignore[arg-type] # as the loader calls it
