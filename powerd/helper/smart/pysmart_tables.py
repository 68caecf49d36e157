"""The tables that smartctl prints for ATA, NVMe and SCSI drives, parsed by pySMART.

pySMART gets the lines of an existing report, so it starts nothing. It changes the environment and the
logging classes of its process, and raises any exception on truncated text, so only a child of the helper
imports it (reader).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from powerd.core.dataclass import dataclass
from powerd.helper.smart.report import as_int, printable_text
from powerd.smart.model import NVME_WARNINGS, Attribute, Counter, DriveProtocol, Fault, SelfTest

if TYPE_CHECKING:
    from pySMART import Device

_INTERFACES: Final[Mapping[DriveProtocol, str]] = {"ata": "sat", "nvme": "nvme", "scsi": "sas"}
"""The interface for pySMART, which would otherwise run smartctl to detect it."""
_FULL: Final = 100
_FAILED: Final = re.compile(
    r"completed: (unknown|electrical|servo/seek|read) failure|completed: handling damage.*"
    r"|fatal or unknown error|unknown error, incomplete|completed, segment failed|failed in .*segment.*"
)
"""Results 3 to 8 of ATA, and 3 to 7 of SCSI, in the words of smartctl (ataprint.cpp, scsiprint.cpp). Higher
ones are reserved, and mean nothing.
"""
_OWN_TESTS: Final = re.compile(r"vendor \(0x[0-9a-f]+\).*|reserved \(0x[0-9a-f]+\).*", re.IGNORECASE)
"""Tests of a vendor, whose results have no known meaning."""


class UnreadableReportError(ValueError):
    """The report does not describe a drive's health; one sentence."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The content of the tables; fields as in Health, and ``counters`` without those in attributes."""

    passed: bool | None
    temperature: int | None
    testing: int | None
    counters: dict[Counter, int]
    attributes: tuple[Attribute, ...]
    critical: tuple[str, ...]
    spare: tuple[int, int] | None
    tests: tuple[SelfTest, ...]


def parse(lines: Sequence[object], protocol: DriveProtocol, faults: Fault) -> Tables:
    """Read the lines that smartctl prints for ``--all``.

    Raises:
        UnreadableReportError: they end too early, or in another way than pySMART knows.
    """
    try:
        device = _device([str(each) for each in lines], protocol, faults)
        progress = as_int(device._test_progress)  # noqa: SLF001 - the public one is a sentence
        return Tables(
            passed={"PASS": True, "FAIL": False}.get(device.assessment),
            temperature=None if protocol == "ata" else as_int(device.temperature),
            testing=None if progress is None else 100 - progress,
            counters=dict(_counters(device)),
            attributes=tuple(_attributes(device)),
            critical=_critical(device),
            spare=_spare(device),
            tests=tuple(_tests(device)),
        )
    except Exception as error:  # noqa: BLE001 - StopIteration, ValueError, TypeError: whatever truncated text causes
        kind = type(error).__name__
        raise UnreadableReportError(
            f"smartctl's output is incomplete, or of an unknown kind ({kind})"
        ) from None


def _device(lines: list[str], protocol: DriveProtocol, faults: Fault) -> Device:
    """The lines, parsed by pySMART."""
    from pySMART import Device  # noqa: PLC0415 - 14 MB, and only the child may pay for it
    from pySMART.smartctl import Smartctl  # noqa: PLC0415 - as Device

    class Canned(Smartctl):  # type: ignore[misc]  # pySMART ships no types
        """A smartctl with a fixed report."""

        def generic_call(self, *_: object, **__: object) -> tuple[list[str], int]:
            return lines, int(faults)

    return Device("disk", interface=_INTERFACES[protocol], smartctl=Canned(smartctl_path="smartctl"))


def _counters(device: Device) -> Iterator[tuple[Counter, int]]:
    interface_attributes = device.if_attributes
    counts = {
        Counter.MEDIA: as_int(getattr(interface_attributes, "integrityErrors", None)),
        Counter.WORN: as_int(getattr(interface_attributes, "percentageUsed", None)),
    }
    diagnostics = device.diagnostics
    if diagnostics is not None:
        lost = [
            getattr(diagnostics, f"_Uncorrected_{what}", None) for what in ("Reads", "Writes", "Verifies")
        ]
        errors = [count for each in lost if (count := as_int(each)) is not None]
        counts |= {
            Counter.REALLOCATED: as_int(diagnostics.Reallocated_Sector_Ct),
            Counter.STARTS: as_int(diagnostics.Start_Stop_Cycles),
            Counter.LOADS: as_int(diagnostics.Load_Cycle_Count),
            Counter.UNCORRECTABLE: sum(errors) if errors else None,
        }
    yield from ((counter, count) for counter, count in counts.items() if count is not None)


def _attributes(device: Device) -> Iterator[Attribute]:
    for each in device.attributes:
        if each is not None:
            failing_now = each.when_failed == "FAILING_NOW"
            past = not failing_now and each.when_failed not in {"-", ""}
            yield Attribute(
                each.num,
                printable_text(each.name),
                as_int(each.value_int),
                as_int(each.worst),
                as_int(each.thresh),
                printable_text(each.raw),
                prefail=each.type == "Pre-fail",
                failed="now" if failing_now else "past" if past else None,
            )


def _critical(device: Device) -> tuple[str, ...]:
    bits = as_int(getattr(device.if_attributes, "criticalWarning", None)) or 0
    return tuple(text for n, text in enumerate(NVME_WARNINGS) if bits >> n & 1)


def _spare(device: Device) -> tuple[int, int] | None:
    spare = as_int(getattr(device.if_attributes, "availableSpare", None))
    threshold = as_int(getattr(device.if_attributes, "availableSpareThreshold", None))
    if spare is None or threshold is None or not 0 <= threshold < _FULL:
        return None  # a threshold of 100 or 255 would be a warning from the beginning
    return spare, threshold


def _tests(device: Device) -> Iterator[SelfTest]:
    """The self-test log, newest first, without a test that is running."""
    for each in device.tests:
        status = printable_text(each.status)
        lower = status.lower()
        if "progress" in lower or "running" in lower:
            continue
        hours = str(each.hours)
        yield SelfTest(
            printable_text(str(each.type)),
            status,
            None if _OWN_TESTS.fullmatch(str(each.type)) else _passed(lower),
            int(hours) if hours.isascii() and hours.isdigit() else None,
        )


def _passed(status: str) -> bool | None:
    """Whether a test has passed; None = it was aborted, or the result is reserved."""
    if "without error" in status or status == "completed":
        return True
    return False if _FAILED.fullmatch(status) else None
