"""`powerd smart`, end to end: what it prints, asks for and exits with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from faces.canned_daemon import canned
from faces.drives import drives
from faces.house import NOW
from faces.shell import Here, here, refused, said

from powerd.faces.health_render import smart_of, smarts_json
from powerd.faces.health_text import smart_text, smarts_text

__all__ = ("here",)  # a fixture


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("ward") / "powerd.sock"
    with canned("drives", path):
        yield str(path)


def test_all_drives(ward: str, here: Here) -> None:
    assert said(here("smart", "--socket", ward), 1) == smarts_text(
        smarts_json(drives()), NOW.wall, observing=True
    )
    assert json.loads(said(here("smart", "--socket", ward, "--json"), 1)) == smarts_json(drives())


@pytest.mark.parametrize(("word", "code"), [("sda", 0), ("ST3500418AS_S2", 3), ("sdb", 1), ("nvme0n1", 0)])
def test_one_drive(ward: str, here: Here, word: str, code: int) -> None:
    """A drive with findings is a "no"; one that was never checked is not known to be ill."""
    detail = smart_of(drives(), word)
    if detail is None:
        told = refused(here("smart", word, "--socket", ward), 1)
        assert "no drive of this name tells of its health; `powerd smart` names those that do" in told
        return
    assert said(here("smart", word, "--socket", ward), code) == smart_text(detail, NOW.wall)
    assert json.loads(said(here("smart", word, "--socket", ward, "--json"), code)) == detail


def test_a_check_and_a_self_test_by_hand(ward: str, here: Here) -> None:
    assert said(here("smart", "sda", "--check", "--socket", ward)).startswith("sda WDC WD20EFRX")
    begun = said(here("smart", "sda", "--test", "long", "--socket", ward))
    assert begun == "sda tests itself (long); `powerd smart sda` shows what came of it.\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("smart asleep --test short", "powerd: asleep is asleep\n"),
        ("smart nothing --check", 'powerd: there is no disk "nothing"\n'),
    ],
)
def test_what_is_refused_is_one_sentence(ward: str, here: Here, command: str, words: str) -> None:
    assert refused(here(*command.split(), "--socket", ward), 1) == words


@pytest.mark.parametrize("command", ["smart --check", "smart --test short", "smart sda --test odd"])
def test_a_wrong_use_is_2(ward: str, here: Here, command: str) -> None:
    assert refused(here(*command.split(), "--socket", ward), 2)


def test_no_drive_and_no_daemon(here: Here, tmp_path: Path) -> None:
    with canned("family", tmp_path / "family"):
        assert (
            said(here("smart", "--socket", str(tmp_path / "family")))
            == "No drive here tells of its health.\n"
        )
    assert "daemon" in refused(here("smart", "--socket", str(tmp_path / "nobody")), 3)
