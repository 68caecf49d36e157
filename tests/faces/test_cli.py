"""The command line: its grammar, what it loads, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from faces.canned_daemon import canned
from faces.shell import ENVIRON, Here, here, refused, said

from powerd.faces import cli
from powerd.host.foreground import Foreground

__all__ = ("here",)  # a fixture

COMMANDS = ("run", "check", "config", "status", "why", "clients", "disks", "smart", "keep", "hold", "wake")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("door") / "powerd.sock"
    with canned("family", path):
        yield str(path)


def test_help_and_version(here: Here) -> None:
    assert said(here()) == said(here("--help"))
    for command in COMMANDS:
        assert f"\n    {command} " in said(here())
        told = said(here(command, "--help", COLUMNS="80"))
        assert told.startswith(f"usage: powerd {command}")
        assert max(map(len, told.splitlines())) <= 80
    assert max(map(len, said(here(COLUMNS="80")).splitlines())) <= 80
    assert said(here("--version")) == "powerd 0.1.0\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["fly"],
        ["status", "--jsno"],
        ["status", "--js"],
        ["run", "--json"],
        ["check", "x"],
        ["keep"],
        ["keep", "2h", "--list"],
        ["keep", "2h", "--drop", "1"],
        ["hold"],
        ["hold", "--"],
        ["hold", "true"],
        ["status", "--", "true"],
        ["wake"],
    ],
)
def test_a_wrong_use_is_2(here: Here, argv: list[str]) -> None:
    assert "usage: powerd" in refused(here(*argv), code=2)


def test_a_wrong_use_is_told_by_the_command_itself(here: Here) -> None:
    told = refused(here("status", "anna"), code=2)
    assert told.startswith("usage: powerd status ")
    assert told.endswith("powerd status: error: unrecognized arguments: anna\n")
    assert "unrecognized arguments: --fast" in refused(here("hold", "--fast", "--", "true"), code=2)
    assert refused(here("--fast"), code=2).endswith("powerd: error: unrecognized arguments: --fast\n")


def test_hold_tells_where_its_command_begins(here: Here) -> None:
    told = refused(here("hold", "rsync", "-a", "src", "dst"), code=2)
    assert told.endswith("powerd hold: error: write -- before the command: powerd hold -- rsync\n")


def test_asking_the_daemon_imports_little(door: str) -> None:
    code = (
        "import sys\nfrom powerd.__main__ import main\n"
        f"for command in ('status', 'why', 'clients'): main([command, '--socket', {door!r}])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    unmeasured = {key: value for key, value in ENVIRON.items() if not key.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=unmeasured, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert not loaded & {
        "asyncio",
        "aiohttp",
        "tomllib",
        "powerd.config",
        "powerd.model",
        "http.client",
        "dataclasses",
    }
    assert "powerd.faces.text" in loaded


def test_an_interrupt_is_quiet() -> None:
    def run(*_: object) -> int:
        raise KeyboardInterrupt

    assert cli.main(["run"], run, Foreground) == 130


def test_a_reader_that_leaves_early_hears_no_complaint(door: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with subprocess.Popen(
        [sys.executable, "-m", "powerd", "clients", "--socket", door],
        env=ENVIRON,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        os.close(theirs)
        _, errors = child.communicate(timeout=120)
    assert (child.returncode, errors) == (141, "")
