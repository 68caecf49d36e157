"""The health of drives over HTTP: reading, and requests of checks and self-tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ui.http.test_write_requests import WriteApiServer
from ui.http.web_server import WebServer
from ui.smart_statuses import OLD, PENDING, RED, report, smart_status, status_of_drives

from powerd.smart.view.api import smart_of, smarts_json


@pytest.fixture
def web_server(tmp_path: Path) -> WebServer:
    return WebServer(tmp_path / "powerd.sock", status=smart_status())


@pytest.fixture
def write_server(tmp_path: Path) -> WriteApiServer:
    return WriteApiServer(tmp_path / "powerd.sock")


def test_all_drives_and_one(web_server: WebServer) -> None:
    async def scene() -> None:
        everything = await web_server.request("/api/smart")
        assert (everything.status, everything.json) == (200, smarts_json(smart_status()))
        for text in (OLD.id, "sdb", "S2"):
            one = await web_server.request(f"/api/smart/{text}")
            assert (one.status, one.json) == (200, smart_of(smart_status(), text))
        assert one.json["findings"][0]["severity"] == "alarm"
        assert [len(each["counters"]) for each in one.json["history"]] == [1, 1, 1]

    web_server.run(scene)


def test_disks_show_a_health_summary(web_server: WebServer) -> None:
    async def scene() -> None:
        rows: list[dict[str, Any]] = (await web_server.request("/api/disks")).json
        health = {row["id"]: row["smart"] and row["smart"]["health"] for row in rows}
        assert (health[RED.id], health[OLD.id], health["vda"]) == ("ok", "alarm", None)

    web_server.run(scene)


@pytest.mark.parametrize("text", ["vda", "sdz", "%2e%2e", "S1%00"])
def test_a_drive_without_health_data_is_not_found(web_server: WebServer, text: str) -> None:
    async def scene() -> None:
        answer = await web_server.request(f"/api/smart/{text}")
        assert answer.status == 404
        assert "error" in answer.json

    web_server.run(scene)


def test_an_ambiguous_drive_name_is_refused(tmp_path: Path) -> None:
    twin = replace(OLD, serial=RED.serial)
    server = WebServer(
        tmp_path / "powerd.sock", status=status_of_drives({RED: report(RED, None), twin: report(twin, None)})
    )

    async def scene() -> None:
        answer = await server.request("/api/smart/S1")
        assert answer.status == 409
        assert "sda or sdb" in answer.json["error"]

    server.run(scene)


def test_the_page_shows_failing_drives(web_server: WebServer) -> None:
    async def scene() -> None:
        page = await web_server.request("/")
        assert "state alarm" in page.body
        assert PENDING.text in page.body

    web_server.run(scene)


@pytest.mark.parametrize(
    ("path", "body", "status", "term"),
    [
        ("sda/check", {}, 200, "sda"),
        ("sda/check", None, 200, "sda"),
        ("sda/check", {"now": 1}, 400, '"now"'),
        ("nothing/check", {}, 404, '"nothing"'),
        ("sda/acknowledge", {}, 200, "sda"),
        ("sda/acknowledge", None, 200, "sda"),
        ("sda/acknowledge", {"kind": "x"}, 400, '"kind"'),
        ("nothing/acknowledge", {}, 404, '"nothing"'),
        ("sda/test", {"kind": "short"}, 200, "sda"),
        ("sda/test", {"kind": "long"}, 200, "sda"),
        ("asleep/test", {"kind": "long"}, 409, "asleep"),
        ("sda/test", {"kind": "x"}, 400, '"short" or "long"'),
        ("sda/test", {}, 400, '"short" or "long"'),
    ],
)
def test_checks_and_self_tests_may_be_requested(
    write_server: WriteApiServer, path: str, body: object, status: int, term: str
) -> None:
    """``term`` is the disk, or a part of the error."""

    async def scene() -> None:
        got, output = await write_server.request("POST", f"/api/smart/{path}", body)
        assert (got, list(output)) == (status, ["disk" if status == 200 else "error"])
        assert term in output.get("error", output.get("disk"))
        assert (await write_server.request("POST", f"/api/smart/{path}", body, tcp=True))[0] == 403, (
            "without a token"
        )

    write_server.run(scene)
    assert len(write_server.wishing.calls) == (1 if status != 400 else 0)
