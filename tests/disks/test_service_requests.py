"""A person's request for a spin-down, from the API to the state store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from facts import changed
from fakes.unused_ports import UnusedPorts
from rig.hardware import Hardware
from ui.statuses import decision, status

from powerd.config.options import Options
from powerd.core.actions import RequestRefusedError
from powerd.core.service import Environment
from powerd.core.snapshot import Snapshot
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Reading
from powerd.disks.model import DiskEvents, DiskFacts, DiskId
from powerd.disks.service import DiskService
from powerd.disks.state import DiskReport, DiskState
from powerd.linux.files import HostFiles
from powerd.simulation.clock import SimulatedClock


def request_spin_down(
    hardware: Hardware,
    request: Callable[[DiskService], Awaitable[object]],
    state: DiskState = DiskState.ACTIVE,
) -> Snapshot:
    """The state store after a request, with all disks in ``state``."""

    async def scenario() -> Snapshot:
        state_store, clock, machine = StateStore(), SimulatedClock(), HostFiles(hardware.root)
        environment = Environment(clock, state_store, Options, Storage(None), print, "")
        disks = DiskService(machine, UnusedPorts(), environment)
        looking = asyncio.create_task(disks.pollers[0].run())
        async with asyncio.timeout(5):
            while not state_store.snapshot().part(DiskFacts).disks:
                await state_store.wait_for_change(float("inf"))
        reports = tuple(
            DiskReport(
                disk,
                state if disk.ineligible_reason is None else DiskState.EXCLUDED,
                clock.now(),
                reason="why",
            )
            for disk in state_store.snapshot().part(DiskFacts).disks.values()
        )
        disks.on_decision(status(changed(decision(), disks=reports)))
        try:
            await request(disks)
        finally:
            looking.cancel()
            disks.close()
            machine.close()
        return state_store.snapshot()

    return asyncio.run(scenario())


@pytest.fixture
def hardware(tmp_path: Path) -> Hardware:
    """An array of two, a disk alone, and an SSD."""
    hardware = Hardware(tmp_path)
    for n in range(3):
        hardware.sata(n, f"WCC{n}")
    hardware.md("md0", 0, ["sda", "sdb"])
    hardware.sata(3, "SSD", model="Samsung SSD", rotational="0")
    return hardware


def id_of(n: int) -> DiskId:
    return DiskId(f"ata-WDC_WD20EFRX-68EUZN0_WCC{n}")


def test_a_single_disk_is_requested_alone_and_polled_first(hardware: Hardware) -> None:
    snapshot = request_spin_down(hardware, lambda disks: disks.request_standby(id_of(2)))
    assert list(snapshot.part(DiskEvents).spin_down_requests) == [id_of(2)]
    reading = snapshot.part(DiskFacts).activity[id_of(2)]
    assert isinstance(reading, Reading)
    assert reading.value.last_io_at <= reading.at <= snapshot.part(DiskEvents).spin_down_requests[id_of(2)]


@pytest.mark.parametrize("disk_name", ["sdc", "WCC2"])
def test_a_disk_goes_by_any_of_its_names(hardware: Hardware, disk_name: str) -> None:
    assert list(
        request_spin_down(hardware, lambda disks: disks.request_standby(disk_name))
        .part(DiskEvents)
        .spin_down_requests
    ) == [id_of(2)]


def test_an_ambiguous_disk_name_spins_down_neither(hardware: Hardware) -> None:
    hardware.sata(4, "WCC2", model="Another")
    with pytest.raises(RequestRefusedError, match=r'"WCC2".*sdc or sde'):
        request_spin_down(hardware, lambda disks: disks.request_standby("WCC2"))


def test_a_member_takes_its_whole_group_along(hardware: Hardware) -> None:
    texts: list[object] = []

    async def request(disks: DiskService) -> None:
        texts.extend(await disks.request_standby(id_of(0)))

    assert (
        set(request_spin_down(hardware, request).part(DiskEvents).spin_down_requests)
        == {id_of(0), id_of(1)}
        == set(texts)
    )


def test_a_request_does_not_undo_another(hardware: Hardware) -> None:
    async def request(disks: DiskService) -> None:
        await disks.request_standby(id_of(2))
        await disks.request_standby(id_of(1))

    assert set(request_spin_down(hardware, request).part(DiskEvents).spin_down_requests) == {
        id_of(0),
        id_of(1),
        id_of(2),
    }


@pytest.mark.parametrize(
    ("name", "state", "terms", "unknown"),
    [
        ("sdz", DiskState.ACTIVE, ['"sdz"', "`powerd disks`"], True),
        (id_of(0), DiskState.UNRESPONSIVE, ["sda", "why"], False),
        (id_of(0), DiskState.UNSUPPORTED, ["sda", "why"], False),
        (id_of(0), DiskState.SUSPENDED, ["sda", "why"], False),
        ("ata-Samsung_SSD_SSD", DiskState.ACTIVE, ["sdd", "why"], False),
    ],
)
def test_what_cannot_be_is_refused(
    hardware: Hardware, name: str, state: DiskState, terms: list[str], *, unknown: bool
) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        request_spin_down(hardware, lambda disks: disks.request_standby(name), state)
    assert caught.value.not_found is unknown
    assert all(term in str(caught.value) for term in terms)
