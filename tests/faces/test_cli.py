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


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("door") / "powerd.sock"
    with canned("family", path):
        yield str(path)


def test_help_and_version(here: Here) -> None:
    assert said(here()) == said(here("--help"))
    for command in ("run", "check", "config", "status", "why", "clients", "keep", "hold", "wake"):
        assert command in said(here())
        assert said(here(command, "--help")).startswith(f"usage: powerd {command}")
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
