"""The health of drives over HTTP: what is shown, and what may be wished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faces.drives import OLD, RED, drives, report, with_drives
from faces.test_desk import House as Desk
from faces.test_web import House

from powerd.faces.health_render import smart_of, smarts_json


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "powerd.sock", status=drives())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "powerd.sock")


def test_all_drives_and_one(house: House) -> None:
    async def scene() -> None:
        everything = await house.ask("/api/smart")
        assert (everything.status, everything.json) == (200, smarts_json(drives()))
        for word in (OLD.id, "sdb", "S2"):
            one = await house.ask(f"/api/smart/{word}")
            assert (one.status, one.json) == (200, smart_of(drives(), word))
        assert one.json["findings"][0]["severity"] == "alarm"
        assert [len(each["counters"]) for each in one.json["history"]] == [1, 1, 1]

    house.play(scene)


def test_disks_tell_of_their_health_in_short(house: House) -> None:
    async def scene() -> None:
        rows: list[dict[str, Any]] = (await house.ask("/api/disks")).json
        health = {row["id"]: row["smart"] and row["smart"]["health"] for row in rows}
        assert (health[RED.id], health[OLD.id], health["vda"]) == ("ok", "alarm", None)

    house.play(scene)


@pytest.mark.parametrize("word", ["vda", "sdz", "%2e%2e", "S1%00"])
def test_who_tells_nothing_is_not_found(house: House, word: str) -> None:
    async def scene() -> None:
        answer = await house.ask(f"/api/smart/{word}")
        assert answer.status == 404
        assert "error" in answer.json

    house.play(scene)


def test_a_word_for_two_drives_is_refused(tmp_path: Path) -> None:
    twin = replace(OLD, serial=RED.serial)
    house = House(
        tmp_path / "powerd.sock", status=with_drives({RED: report(RED, None), twin: report(twin, None)})
    )

    async def scene() -> None:
        answer = await house.ask("/api/smart/S1")
        assert answer.status == 409
        assert "sda or sdb" in answer.json["error"]

    house.play(scene)


def test_the_page_tells_of_ill_drives(house: House) -> None:
    async def scene() -> None:
        page = await house.ask("/")
        assert "Health: 1 of 3 drives with findings" in page.body
        assert "2 more sectors cannot be read, 8 in all" in page.body

    house.play(scene)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("sda/check", {}, 200, {"disk": "sda"}),
        ("sda/check", None, 200, {"disk": "sda"}),
        ("sda/check", {"now": 1}, 400, {"error": '"now" is not known here; the body may hold nothing'}),
        ("nothing/check", {}, 404, {"error": 'there is no disk "nothing"'}),
        ("sda/test", {"kind": "short"}, 200, {"disk": "sda"}),
        ("sda/test", {"kind": "long"}, 200, {"disk": "sda"}),
        ("asleep/test", {"kind": "long"}, 409, {"error": "asleep is asleep"}),
        ("sda/test", {"kind": "x"}, 400, {"error": 'say which: "kind" is wanted, "short" or "long"'}),
        ("sda/test", {}, 400, {"error": 'say which: "kind" is wanted, "short" or "long"'}),
    ],
)
def test_checks_and_self_tests_may_be_wished(
    desk: Desk, path: str, body: object, status: int, said: object
) -> None:
    async def scene() -> None:
        assert await desk.ask("POST", f"/api/smart/{path}", body) == (status, said)
        assert (await desk.ask("POST", f"/api/smart/{path}", body, tcp=True))[0] == 403, "without a token"

    desk.play(scene)
    assert len(desk.wishing.said) == (1 if status != 400 else 0)
