"""Load, by the pressure files of the kernel."""

from __future__ import annotations

import asyncio

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.load import KIND, Options, parse
from powerd.core.poller import PollDepth
from powerd.linux.values import HostError

IDLE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0"
BUSY = "some avg10=98.31 avg60=91.02 avg300=40.17 total=3984723984"


class PressurePorts(RecordingPorts):
    """The pressure files of the root cgroup."""

    def __init__(self, **files: str | None) -> None:
        super().__init__()
        self.pressure = files

    def read_text(self, path: str) -> str | None:
        return self.pressure.get(path.removeprefix("/sys/fs/cgroup/").removesuffix(".pressure"), IDLE)


def keeping_awake(**files: str | None) -> list[tuple[str, float | None]]:
    check = KIND.new(Options(), check_ports(PressurePorts(**files).ports()))
    found = asyncio.run(check.poll(PollDepth.ROUTINE))
    assert len(found) == 2
    return [(each.text, each.value) for each in found if each.keeps_awake]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (IDLE, 0.0),
        (BUSY, 40.17),
        ("some avg10=0.00 avg60=3.20 avg300=60.50 total=1", 3.2),
        ("some avg10=9.00 avg60=70.00 avg300=8.00 total=1", 8.0),
        ("some avg10=100.00 avg60=100.00 avg300=100.00 total=1", 100.0),
    ],
)
def test_the_lower_average_counts(text: str, expected: float) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["", "full avg10=0.00", "some avg10=x avg60=1 avg300=1 total=1", "some"])
def test_another_format_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="unknown format"):
        parse(text)
    with pytest.raises(HostError, match=r"cpu\.pressure"):
        keeping_awake(cpu=text)


def test_an_idle_machine() -> None:
    assert keeping_awake() == []


@pytest.mark.parametrize(("resource", "name"), [("cpu", "the CPU"), ("memory", "memory")])
def test_a_resource_that_is_short_for_minutes(resource: str, name: str) -> None:
    assert [(name in text, value) for text, value in keeping_awake(**{resource: BUSY})] == [(True, 40.17)]


def test_a_task_that_waits_in_io_uring_is_no_load() -> None:
    """It counts in io.pressure although no disk is used."""
    assert keeping_awake(io=BUSY) == []


def test_a_kernel_without_pressure() -> None:
    with pytest.raises(NotApplicableError, match=r"memory\.pressure"):
        keeping_awake(memory=None)
