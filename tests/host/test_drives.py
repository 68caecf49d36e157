"""Orders to disks in the helper's words and back, over a real socket to a helper that answers as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from powerd import model
from powerd.helper import protocol
from powerd.helper.protocol import CAUSES, Answer, Refused, Request, parse_request, to_line
from powerd.host import drives
from powerd.host.values import DiskError, HostError
from powerd.model import DiskId, DiskOrder, Found, Trouble

DISK = DiskId("ata-WDC_WD20EFRX_1")
POWER = protocol.Power(DISK, "standby", 1)
DRIVE = protocol.Drive(DISK, 127, apm_supported=True, epc=False, commands=2)


def asked(at: Path, answer: Answer, ask: Callable[[Path], Any]) -> tuple[list[Request], Any]:
    """What a helper that always answers so is asked, and what becomes of it."""
    requests: list[Request] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(parse_request(await reader.readline()))
        writer.write(to_line(answer))
        await writer.drain()
        writer.close()

    async def story() -> Any:  # noqa: ANN401 - whatever the question gives back
        async with await asyncio.start_unix_server(serve, at):
            return await ask(at)

    return requests, asyncio.run(story())


@pytest.mark.parametrize(
    ("order", "request_", "answer", "found"),
    [
        (
            model.AskPower(DISK),
            protocol.ReadPower(DISK),
            POWER,
            model.Answered(model.Power.STANDBY, 1),
        ),
        (
            model.SpinDown(DISK, "scsi"),
            protocol.StandBy(DISK, "scsi"),
            POWER,
            model.Answered(model.Power.STANDBY, 1),
        ),
        (
            model.SpinDown(DISK, "ata"),
            protocol.StandBy(DISK, "ata"),
            protocol.Power(DISK, "standby", 2, stopped=True),
            model.Answered(model.Power.STANDBY, 2, stopped=True),
        ),
        (
            model.SetTimer(DISK, 1260),
            protocol.SetTimer(DISK, 252),
            protocol.Power(DISK, "active", 1),
            model.Answered(model.Power.ACTIVE, 1),
        ),
        (
            model.SetApm(DISK, 127),
            protocol.SetApm(DISK, 127, spin_down=True),
            DRIVE,
            model.Drive(127, apm_supported=True, epc=False, commands=2),
        ),
        (
            model.SetApm(DISK, 128),
            protocol.SetApm(DISK, 128, spin_down=False),
            DRIVE,
            model.Drive(127, apm_supported=True, epc=False, commands=2),
        ),
        (
            model.ReadDrive(DISK),
            protocol.ReadDrive(DISK),
            DRIVE,
            model.Drive(127, apm_supported=True, epc=False, commands=2),
        ),
    ],
)
def test_each_order_is_one_request(
    tmp_path: Path, order: DiskOrder, request_: Request, answer: Answer, found: Found
) -> None:
    told = asked(tmp_path / "s", answer, lambda at: drives.obey(order, at))
    assert told == ([request_], found)


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_of_a_refusal_has_its_trouble(tmp_path: Path, cause: str) -> None:
    with pytest.raises(DiskError, match=r"^it will not$") as caught:
        asked(tmp_path / "s", Refused("it will not", cause), lambda at: drives.obey(model.AskPower(DISK), at))
    assert caught.value.trouble is Trouble(cause)


def test_a_refusal_tells_the_commands_that_were_sent_all_the_same(tmp_path: Path) -> None:
    refused = Refused("a SMART self-test runs", "busy", 3)
    with pytest.raises(DiskError) as caught:
        asked(tmp_path / "s", refused, lambda at: drives.obey(model.SpinDown(DISK, "ata"), at))
    assert (caught.value.trouble, caught.value.commands) == (Trouble.BUSY, 3)


def test_without_a_helper_the_disk_is_not_to_blame(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no helper listens") as caught:
        asyncio.run(drives.obey(model.AskPower(DISK), tmp_path / "s"))
    assert not isinstance(caught.value, DiskError)


def test_what_cannot_even_be_asked_for_fails(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"^a/b: cannot be asked for: ") as caught:
        asyncio.run(drives.obey(model.AskPower(DiskId("a/b")), tmp_path / "s"))
    assert caught.value.trouble is Trouble.FAILED


def test_a_guard_tells_who_was_woken(tmp_path: Path) -> None:
    other = DiskId("ata-WDC_WD20EFRX_2")
    roused = protocol.Roused(disk=DISK, others=(other,), failed=(), seconds=7.5)
    requests, end = asked(tmp_path / "s", roused, lambda at: drives.guard((DISK, other), at))
    assert requests == [protocol.Guard((DISK, other))]
    assert end == (DISK, (other,), 7.5)
