"""Operations of NFS that use files count; an idle mount does not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts
from hypothesis import given
from hypothesis import strategies as st

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.nfs import STATISTICS, NfsCheck, Options, parse_uses
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError
from powerd.simulation.clock import SimulatedClock

GETATTR, LOOKUP, OPEN, READ, RENEW, WRITE, SEQUENCE = 9, 15, 18, 25, 30, 38, 53
V3_GETATTR, V3_READ = 1, 6


def statistics(v3: dict[int, int], v4: dict[int, int]) -> str:
    """As fs/nfsd/stats.c and net/sunrpc/stats.c of Linux 6.1 write it."""
    return "\n".join(
        [
            *("rc 0 21 4711", "fh 0 0 0 0 0", "io 1048576 0", "th 8 0" + " 0.000" * 10, "ra 0" + " 0" * 11),
            *("net 4735 0 4735 1", "rpc 4732 0 0 0 0"),
            "proc3 22 " + " ".join(str(v3.get(number, 0)) for number in range(22)),
            "proc4 2 1 4730",
            "proc4ops 76 " + " ".join(str(v4.get(number, 0)) for number in range(76)),
        ]
    )


@dataclass
class NfsScenario:
    """A server whose counters are polled once a minute."""

    root: Path
    path: str = STATISTICS[0]
    now: float = 0.0
    v3: dict[int, int] = field(default_factory=lambda: {V3_READ: 5000})
    v4: dict[int, int] = field(default_factory=lambda: {READ: 5000})

    def __post_init__(self) -> None:
        ports = replace(RecordingPorts().ports(), files=HostFiles(self.root))
        self.file = self.root / self.path.lstrip("/")
        self.file.parent.mkdir(parents=True)
        self.check = NfsCheck(Options(), check_ports(ports, SimulatedClock(mono=lambda: self.now)))

    def minutes(self, count: int, v3: dict[int, int] | None = None, **v4: int) -> tuple[Activity, ...]:
        found: tuple[Activity, ...] = ()
        for _ in range(count):
            for number, increase in (v3 or {}).items():
                self.v3[number] = self.v3.get(number, 0) + increase
            for name, increase in v4.items():
                self.v4[globals()[name]] = self.v4.get(globals()[name], 0) + increase
            self.file.write_text(statistics(self.v3, self.v4))
            self.now += 60.0
            found = asyncio.run(self.check.poll(PollDepth.ROUTINE))
        return found


@pytest.fixture
def server(tmp_path: Path) -> NfsScenario:
    scenario = NfsScenario(tmp_path)
    assert scenario.minutes(1) == ()
    return scenario


@pytest.mark.parametrize("v4", [{"OPEN": 30}, {"READ": 30, "GETATTR": 90}, {"WRITE": 30}])
def test_work_counts_until_its_end(server: NfsScenario, v4: dict[str, int]) -> None:
    (activity,) = server.minutes(4, None, **v4)
    assert (activity.keeps_awake, activity.value, activity.threshold) == (True, 30.0, 20)
    assert activity.since == 120.0
    assert not any(each.keeps_awake for each in server.minutes(1))
    assert server.minutes(3) == ()


def test_version_3_counts_and_the_file_of_the_sandbox(tmp_path: Path) -> None:
    server = NfsScenario(tmp_path, STATISTICS[1])
    server.minutes(1)
    assert [each.keeps_awake for each in server.minutes(4, {V3_READ: 30})] == [True]
    server.minutes(4)
    assert server.minutes(4, {V3_GETATTR: 300}) == ()


def test_idle_mounts_do_not_count(server: NfsScenario) -> None:
    """Ten clients with a mount, of which each looks whether a directory has changed."""
    assert server.minutes(5, SEQUENCE=100, RENEW=10, GETATTR=200, LOOKUP=100) == ()


def test_a_reset_of_the_counters_is_no_work(server: NfsScenario) -> None:
    server.v3, server.v4 = {}, {}
    assert server.minutes(3) == ()


def test_without_nfsd_it_does_not_apply_and_with_another_format_it_fails(tmp_path: Path) -> None:
    scenario = NfsScenario(tmp_path)
    with pytest.raises(NotApplicableError):
        asyncio.run(scenario.check.poll(PollDepth.ROUTINE))
    scenario.file.write_text("proc3 22 x\n")
    with pytest.raises(HostError) as error:
        asyncio.run(scenario.check.poll(PollDepth.ROUTINE))
    assert not isinstance(error.value, NotApplicableError)


@given(st.text(max_size=40), st.sampled_from(["", "proc3 22 ", "proc4ops 76 ", "proc4ops"]))
def test_any_text_is_read(text: str, start: str) -> None:
    uses = parse_uses(start + text)
    assert uses is None or uses >= 0
