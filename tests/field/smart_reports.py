"""Passes real smartctl reports through reader, codec and findings, and prints the findings of each drive.

    python tests/field/smart_reports.py [--everything] [DIRECTORY | ARCHIVE.tar.xz]

Without an argument POWERD_SMART_REPORTS names the reports. They are texts of ``smartctl -x``, one file per
drive, such as those of https://github.com/bsdhw/SMART (CC BY 4.0), and no part of the repository. Each is
turned into what ``smartctl --json=co --all`` prints for that drive; then the reader of the helper, the codec
and the findings get it as they do in the daemon.

pytest does not collect this file: a person reads what it prints. Every alarm, warning, temperature above 60
degrees, age above 20 years and refusal has to be defensible to the owner of the drive.
"""

from __future__ import annotations

import collections
import json
import os
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from powerd.core.codec import decode, encode
from powerd.helper.smart.pysmart_tables import UnreadableReportError
from powerd.helper.smart.reader import read_health
from powerd.smart.findings import findings_of
from powerd.smart.model import Counter, Finding, Health, Severity

_HOT: Final = 60
_OLD: Final = 20 * 365 * 24
_EXAMPLES: Final = 4
_FLAGS: Final = "POSRCK"
"""Prefailure, online, speed, error rate, event count, auto-keep: bits 0 to 5 (smartctl(8), ``-f brief``)."""
_BRIEF_ROW: Final = re.compile(
    r"\s*(\d+) (\S+)\s+([POSRCK-]{6})\S*\s+(\d{3}|---)\s+(\d{3}|---)\s+(\d{3}|---)\s+(-|NOW|Past)\s+(.+)"
)
_WHEN_FAILED: Final = {"-": "-", "NOW": "FAILING_NOW", "Past": "In_the_past"}
_BRIEF_LEGEND: Final = re.compile(r"\s+\|+_+ [A-Za-z ]+|\s+\|_+ P prefailure warning")
_TITLES: Final = {
    "ID# ATTRIBUTE_NAME": "ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  "
    "WHEN_FAILED RAW_VALUE",
    "SMART Extended Self-test Log Version": "SMART Self-test log structure revision number 1",
}
_STATUS: Final = "SMART overall-health self-assessment test result"
_FIELD: Final = re.compile(r"([A-Z][\w /().-]+?):\s+(\S.*)")


def reports(place: Path) -> Iterator[tuple[str, str]]:
    """The name and the text of every report in a directory, or in an archive of one."""
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(place)), path.read_text(errors="replace")
        return
    with tarfile.open(place) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, file.read().decode(errors="replace")


def answer_of(text: str) -> bytes:
    """What ``smartctl --json=co --all`` prints for the drive of a report of ``smartctl -x``."""
    lines = [_line_of_all(line) for line in text.splitlines() if not _BRIEF_LEGEND.fullmatch(line)]
    fields: dict[str, str] = {}
    for match in filter(None, (_FIELD.fullmatch(line.strip()) for line in lines)):
        fields.setdefault(match[1], match[2].strip())
    protocol = "NVMe" if "Model Number" in fields else "ATA" if "Device Model" in fields else "SCSI"
    smartctl: dict[str, Any] = {"version": [7, 3], "output": lines}
    answer = {
        "json_format_version": [1, 0],
        "smartctl": smartctl,
        "device": {"name": "/dev/disk", "type": protocol.lower(), "protocol": protocol},
        **_identity(text, fields),
        **{"ATA": _ata, "NVMe": _nvme, "SCSI": _scsi}[protocol](text, fields, lines),
    }
    smartctl["exit_status"] = _exit_status(text, answer)
    return json.dumps(answer).encode()


def _identity(text: str, fields: dict[str, str]) -> dict[str, Any]:
    """What all protocols have: the kind of drive, and whether it is well."""
    answer: dict[str, Any] = {}
    support = set(re.findall(r"(?m)^SMART support is:\s+(\w+)", text))
    if support:
        answer["smart_support"] = {"available": "Unavailable" not in support}
        if support & {"Enabled", "Disabled"}:
            answer["smart_support"]["enabled"] = "Enabled" in support
    if state := fields.get(_STATUS) or fields.get("SMART Health Status"):
        answer["smart_status"] = {"passed": state.startswith(("PASSED", "OK"))}
    for key, name in (
        ("model_name", "Device Model"),
        ("model_name", "Model Number"),
        ("model_family", "Model Family"),
    ):
        if name in fields:
            answer[key] = fields[name]
    if rotation := fields.get("Rotation Rate"):
        answer["rotation_rate"] = int(rotation.split()[0]) if rotation[0].isdigit() else 0
    if form_factor := fields.get("Form Factor"):
        answer["form_factor"] = {"name": form_factor}
    return answer


def _line_of_all(line: str) -> str:
    """The line that ``--all`` prints for one of ``-x``: the brief attribute table and a heading differ."""
    if match := _BRIEF_ROW.fullmatch(line):
        number, name, letters, value, worst, threshold, failed, raw = match.groups()
        flags = sum(1 << n for n, letter in enumerate(_FLAGS) if letter in letters)
        kind, updated = "Pre-fail" if flags & 1 else "Old_age", "Always" if flags & 2 else "Offline"
        return (
            f"{int(number):3d} {name:<23} 0x{flags:04x}   {value}   {worst}   {threshold}    {kind:<8}  "
            f"{updated:<7}  {_WHEN_FAILED[failed]:<11} {raw}"
        )
    return next((title for start, title in _TITLES.items() if line.startswith(start)), line)


def _ata(text: str, _: dict[str, str], lines: list[str]) -> dict[str, Any]:
    raws: dict[int, int] = {}
    for line in lines:
        if match := re.fullmatch(r"\s*(\d+) \S+\s+0x[0-9a-f]{4}(?:\s+\S+){6}\s+(\d+).*", line):
            raws.setdefault(int(match[1]), int(match[2]))
    answer: dict[str, Any] = {}
    # ataprint.cpp: the low byte of 194, otherwise of 190, if it is plausible
    celsius = [raws[number] & 0xFF for number in (194, 190) if number in raws]
    if plausible := [each for each in celsius if 0 < each < 128]:
        answer["temperature"] = {"current": plausible[0]}
    if 9 in raws:
        answer["power_on_time"] = {"hours": raws[9]}
    if match := re.search(r"(?:ATA|Device) Error Count: (\d+)", text):
        answer["ata_smart_error_log"] = {"summary": {"count": int(match[1])}}
    elif "No Errors Logged" in text:
        answer["ata_smart_error_log"] = {"summary": {"count": 0}}
    return {**answer, "ata_smart_data": {"self_test": _ata_self_test(text)}}


def _ata_self_test(text: str) -> dict[str, Any]:
    test: dict[str, Any] = {}
    polling = {
        kind: int(match[1])
        for kind, title in (("short", "Short"), ("extended", "Extended"))
        if (
            match := re.search(title + r" self-test routine\s+recommended polling time:\s+\(\s*(\d+)\)", text)
        )
    }
    if polling:
        test["polling_minutes"] = polling
    if match := re.search(r"Self-test execution status:\s+\(\s*(\d+)\)", text):
        status = int(match[1])
        test["status"] = {"value": status}
        if status >> 4 == 0xF:
            test["status"]["remaining_percent"] = (status & 0xF) * 10
    return test


def _nvme(text: str, fields: dict[str, str], _: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if match := re.search(r"(?m)^Temperature:\s+(-?\d+) C", text):
        answer["temperature"] = {"current": int(match[1])}
    if hours := fields.get("Power On Hours"):
        answer["power_on_time"] = {"hours": int(re.sub(r"\D", "", hours))}
    if warning := fields.get("Critical Warning"):
        answer.setdefault("smart_status", {"passed": warning == "0x00", "nvme": {"value": int(warning, 16)}})
    return answer


def _scsi(text: str, fields: dict[str, str], _: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if product := fields.get("Product"):
        answer["model_name"] = f"{fields.get('Vendor', '')} {product}".strip()
    degrees = {
        key: int(match[1])
        for key, title in (("current", "Current Drive Temperature"), ("drive_trip", "Drive Trip Temperature"))
        if (match := re.search(title + r":\s+(\d+)", text))
    }
    if degrees:
        answer["temperature"] = degrees
    if match := re.search(r"hours:minutes (\d+):|number of hours powered up = (\d+)", text):
        answer["power_on_time"] = {"hours": int(match[1] or match[2])}
    if match := re.search(r"Self-test duration: (\d+) seconds", text):
        answer["scsi_extended_self_test_seconds"] = int(match[1])
    if match := re.search(r"Percentage used endurance indicator: (\d+)%", text):
        answer["endurance_used"] = {"current_percent": int(match[1])}
    return answer


def _exit_status(text: str, answer: dict[str, Any]) -> int:
    """The exit status that smartctl(8) documents for what the report says."""
    status = 0
    if answer.get("smart_status", {}).get("passed") is False:
        status |= 8
    if re.search(r"Pre-fail.*FAILING_NOW", text):
        status |= 16
    if "FAILING_NOW" in text or "In_the_past" in text:
        status |= 32
    if answer.get("ata_smart_error_log", {}).get("summary", {}).get("count"):
        status |= 64
    if re.search(r"(?m)^# ?\d+ .*(Completed: (?!none)|failure|Failed)", text):
        status |= 128
    return status


class Groups:
    """What was found, by the reason: how often, and a few examples."""

    def __init__(self) -> None:
        self._examples: dict[tuple[str, str], list[str]] = collections.defaultdict(list)

    def add(self, title: str, reason: str, example: str) -> None:
        """Count one more drive."""
        self._examples[title, reason].append(example)

    def print(self, *, everything: bool) -> None:
        """Print the groups, the most frequent of each title first."""
        for title, reason in sorted(self._examples, key=lambda key: (key[0], -len(self._examples[key]), key)):
            found = self._examples[title, reason]
            print(f"{title:<12} {len(found):5d}  {reason}")
            for example in found if everything else found[:_EXAMPLES]:
                print(f"{'':20s}{example}")


def main(arguments: list[str]) -> int:
    """Read all reports, and print the groups; ``--everything`` prints every drive instead of examples."""
    places = [each for each in arguments if not each.startswith("--")]
    place = Path(places[0] if places else os.environ.get("POWERD_SMART_REPORTS", ""))
    if not str(place).strip(".") or not place.exists():
        print(
            "There are no reports: name a directory or a .tar.xz of `smartctl -x` texts as the argument or "
            "in POWERD_SMART_REPORTS; see the head of this file.",
            file=sys.stderr,
        )
        return 2
    groups, total = Groups(), collections.Counter[str]()
    for name, text in reports(place):
        total["reports"] += 1
        try:
            health = decode(Health, encode(read_health(answer_of(text), 0.0)))
        except UnreadableReportError as error:
            groups.add("6 refusal", re.sub(r"\d+", "N", str(error)), name)
            total["refused"] += 1
            continue
        _sort(groups, total, name, health)
    groups.print(everything="--everything" in arguments)
    print(", ".join(f"{count} {what}" for what, count in total.items()))
    return 0


def _sort(groups: Groups, total: collections.Counter[str], name: str, health: Health) -> None:
    """Put what a first check of a drive finds into its groups."""
    findings = findings_of(None, health)
    worst = max((each.severity for each in findings), default=None)
    total["without findings" if worst is None else worst.name.lower() + " at worst"] += 1
    for finding in findings:
        title = {Severity.ALARM: "1 alarm", Severity.WARNING: "2 warning", Severity.NOTE: "3 note"}
        groups.add(title[finding.severity], _reason(finding), f"{name}: {finding.text}")
    if health.temperature is not None and health.temperature > _HOT:
        groups.add("4 hot", f"{health.protocol} above {_HOT} °C", f"{name}: {health.temperature} °C")
    if health.power_on_hours is not None and health.power_on_hours > _OLD:
        groups.add("5 old", f"{health.protocol} on for over 20 years", f"{name}: {health.power_on_hours} h")
    if health.temperature is not None and health.temperature <= 0:
        groups.add("4 cold", f"{health.protocol} at most 0 °C", f"{name}: {health.temperature} °C")
    for counter, count in health.counters.items():
        if counter is not Counter.ERRORS and count >= 1 << 32:
            groups.add("7 count", f"{counter} of 2^32 or more", f"{name}: {count}")


def _reason(finding: Finding) -> str:
    """The text of a finding without its numbers, and its advice."""
    return f"{finding.kind}: {re.sub(r'[0-9][0-9,]*', 'N', finding.text)} -> {finding.advice}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
