"""``/api/history`` and ``/api/timeline`` over a real socket, and ``powerd history``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ui.http.web_server import WebServer
from ui.statuses import NOW

from powerd.history.model import StateChange, Subject
from powerd.history.policy_record import make_record
from powerd.history.view.api import record_parts
from powerd.replay.command import read_record
from powerd.ui.http.history_routes import parse_since
from powerd.ui.http.write_requests import ApiError

_NOW = datetime(2026, 6, 8, 12, tzinfo=UTC)
_HOSTILE = (
    "-1d",
    "",
    "7",
    "1e9d",
    "9" * 60 + "d",
    "\0",
    "2026-13-01",
    "9999999999999d?",
    "<script>",
    "9" * 400,
    "2099-01-01",
    "2026-06-08T12:00:01+00:00",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        ("90min", datetime(2026, 6, 8, 10, 30, tzinfo=UTC)),
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T10:00:00+02:00", datetime(2026, 6, 1, 8, tzinfo=UTC)),
        ("2026-06-01T10:00:00 02:00", datetime(2026, 6, 1, 8, tzinfo=UTC)),
        ("0001-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_since(text: str, expected: datetime) -> None:
    assert parse_since(text, _NOW) == expected.timestamp()


@pytest.mark.parametrize("text", _HOSTILE)
def test_hostile_values_of_since(text: str) -> None:
    with pytest.raises(ApiError) as error:
        parse_since(text, _NOW)
    assert error.value.status == 400


def test_the_routes(tmp_path: Path) -> None:
    server = WebServer(tmp_path / "s")

    async def scene() -> None:
        history = (await server.request("/api/history?since=1d")).json
        assert (history["sleeps"], history["trial"]) == ([], None)
        timeline = (await server.request("/api/timeline")).json
        assert timeline["until"] == NOW.wall.isoformat(timespec="seconds") or timeline["segments"] == []
        for query in (
            "hours=0",
            "hours=-1",
            "hours=1e3",
            "hours=745",
            "hours=%00",
            "hours=" + "9" * 500,
            "hours=",
        ):
            answer = await server.request(f"/api/timeline?{query}")
            assert (answer.status, list(answer.json)) == (400, ["error"]), query
        answer = await server.request("/api/history?since=%3Cscript%3E")
        assert (answer.status, list(answer.json)) == (400, ["error"])

    server.run(scene)


def test_the_record_is_sent_in_parts_which_are_one_document(tmp_path: Path) -> None:
    entries = [StateChange(_NOW.timestamp() - n, Subject("client", str(n)), "present") for n in range(5000)]
    record = make_record(reversed(entries), 0.0, _NOW.timestamp())
    parts = list(record_parts(record, UTC, "/etc/other.toml"))
    assert max(map(len, parts)) < len("".join(parts)) / 2
    document = json.loads("".join(parts))
    assert document["configuration"] == "/etc/other.toml"
    assert read_record(document).changes.times == record.changes.times
    server = WebServer(tmp_path / "s")

    async def scene() -> None:
        answer = await server.request("/api/record?since=1d")
        assert answer.json == {**answer.json, "lines": [], "problems": [], "configuration": None}
        assert answer.headers["Content-Type"].startswith("application/json")
        assert (await server.request("/api/record?since=1d", "HEAD")).body == ""
        assert (await server.request("/api/record?since=x")).status == 400

    server.run(scene)


def test_the_report(tmp_path: Path) -> None:
    server = WebServer(tmp_path / "s")

    async def scene() -> None:
        report = (await server.request("/api/report?since=2d")).json
        assert (report["asleep"]["count"], report["energy"]) == (0, None)
        record = (await server.request("/api/record?since=2d")).json
        assert record["lines"] == []
        for path in ("report", "record"):
            answer = await server.request(f"/api/{path}?since=%00")
            assert (answer.status, list(answer.json)) == (400, ["error"])

    server.run(scene)
