from __future__ import annotations

import asyncio

import pytest

from powerd.actuators import spindown
from powerd.host.values import DiskError, HostError
from powerd.model import (
    Answered,
    AskPower,
    DiskId,
    DiskOrder,
    Done,
    Drive,
    Found,
    Power,
    ReadDrive,
    SetApm,
    SetTimer,
    SpinDown,
    Trouble,
)

DISK = DiskId("ata-WDC_1")
APM = Drive(apm=127, apm_supported=True)


class Hand:
    """Answers as it is told to."""

    def __init__(self, answer: Found | Exception) -> None:
        self.answer = answer
        self.asked: list[DiskOrder] = []

    async def disk(self, order: DiskOrder) -> Found:
        self.asked.append(order)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("order", "found", "observed"),
    [
        (AskPower(DISK), Answered(Power.ACTIVE), "it spins"),
        (AskPower(DISK), Answered(Power.STANDBY), "it stands by"),
        (AskPower(DISK), Answered(Power.SLEEPING), "it sleeps"),
        (AskPower(DISK), Answered(Power.UNKNOWN), "it does not say whether it spins"),
        (AskPower(DISK), Answered(Power.SUSPENDED), "the kernel has suspended it"),
        (SpinDown(DISK, "ata"), Answered(Power.STANDBY, stopped=True), "told it to stand by (ATA)"),
        (SpinDown(DISK, "ata"), Answered(Power.STANDBY), "it stands by already"),
        (SpinDown(DISK, "scsi"), Answered(Power.SUSPENDED), "the kernel has suspended it"),
        (SetTimer(DISK, 1200), Answered(Power.ACTIVE), "set its timer to 20min"),
        (SetTimer(DISK, 0), Answered(Power.ACTIVE), "switched its timer off"),
        (SetApm(DISK, 127), APM, "set its APM level to 127: APM is 127"),
        (SetApm(DISK, 127), Drive(apm_supported=True), "set its APM level to 127: APM is off"),
        (ReadDrive(DISK), Drive(), "asked what it can do: no APM"),
    ],
)
def test_an_order_is_given_once_and_what_was_seen_is_said(
    order: DiskOrder, found: Found, observed: str
) -> None:
    hand = Hand(found)
    assert asyncio.run(spindown.obey(order, hand)) == Done(True, observed, found)
    assert hand.asked == [order]


@pytest.mark.parametrize(
    ("error", "done"),
    [
        (
            DiskError("a self-test runs", Trouble.BUSY, 3),
            Done(False, "a self-test runs", Trouble.BUSY, commands=3),
        ),
        (HostError("no helper listens"), Done(False, "no helper listens", Trouble.UNREACHED)),
    ],
)
def test_a_refusal_is_said_in_its_words_and_in_a_word(error: HostError, done: Done) -> None:
    """And with the commands that were sent to the drive all the same."""
    hand = Hand(error)
    assert asyncio.run(spindown.obey(SpinDown(DISK, "ata"), hand)) == done
    assert len(hand.asked) == 1


def test_the_commands_that_an_answer_took_are_counted() -> None:
    hand = Hand(Answered(Power.ACTIVE, 2))
    assert asyncio.run(spindown.obey(AskPower(DISK), hand)).commands == 2


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (AskPower(DISK), "asked whether it spins"),
        (SpinDown(DISK, "ata"), "spun it down"),
        (SetApm(DISK, 200), "set its APM level to 200"),
    ],
)
def test_what_would_have_been_done(order: DiskOrder, text: str) -> None:
    assert spindown.done(order) == text
