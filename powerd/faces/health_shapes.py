"""The shapes of the API's JSON on the health of drives; conventions as in shapes."""

from __future__ import annotations

from typing import Literal, TypedDict


class FindingJson(TypedDict):
    """Something that the latest check has found, and what to do about it."""

    kind: str
    severity: Literal["note", "warning", "alarm"]
    text: str
    advice: str


class AlertJson(FindingJson):
    """A new finding, as the hook ``alert`` gets it: with its drive, and when it was found."""

    disk: str
    device: str
    model: str
    serial: str
    at: str


class SelfTestJson(TypedDict):
    """One entry of the drive's self-test log; ``passed`` None = it was broken off."""

    kind: str
    status: str
    passed: bool | None
    hours: int | None


class AttributeJson(TypedDict):
    """One row of an ATA drive's attribute table; ``failed`` is "now", "past" or None."""

    id: int
    name: str
    value: int | None
    worst: int | None
    threshold: int | None
    raw: str
    prefail: bool
    failed: str | None


class SmartJson(TypedDict):
    """One drive: a row of ``GET /api/smart``, and the field ``smart`` of ``GET /api/disks``.

    ``health`` is "unknown" until it has been checked once, else the gravest finding's severity, or "ok".
    ``why`` says why it could not be checked, None = it could.
    """

    id: str
    device: str
    model: str
    serial: str
    health: Literal["ok", "note", "warning", "alarm", "unknown"]
    checked: str | None
    due: str | None
    testing: bool
    temperature: int | None
    hours: int | None
    counters: dict[str, int]
    findings: list[FindingJson]
    why: str | None


class SampleJson(TypedDict):
    """An older check."""

    at: str
    passed: bool | None
    temperature: int | None
    counters: dict[str, int]


class SmartDetailJson(SmartJson):
    """``GET /api/smart/ID``: all that is known of one drive, its history oldest first."""

    protocol: str | None
    passed: bool | None
    attributes: list[AttributeJson]
    tests: list[SelfTestJson]
    tested: dict[str, str]
    history: list[SampleJson]
