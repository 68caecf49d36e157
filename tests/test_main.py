"""``python -m powerd`` and the installed command are one; the daemon is loaded only if it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from powerd.__main__ import main

pytestmark = pytest.mark.process


def test_run_calls_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path | None, bool, Path]] = []

    def run(config: Path | None, observe: bool, socket: Path) -> int:  # noqa: FBT001 - as the app has it
        asked.append((config, observe, socket))
        return 5

    app = ModuleType("powerd.service")
    app.run = run  # type: ignore[attr-defined] # replaces the daemon
    monkeypatch.setitem(sys.modules, "powerd.service", app)
    assert main(["run", "--observe", "--config", "/c", "--socket", "/s"]) == 5
    assert asked == [(Path("/c"), True, Path("/s"))]


def test_both_entry_points_start_it() -> None:
    installed = Path(sys.executable).with_name("powerd")
    for argv in ([str(installed)], [sys.executable, "-m", "powerd"]):
        assert subprocess.check_output([*argv, "--version"], text=True) == "powerd 0.1.0\n"


def test_no_command_loads_tls(tmp_path: Path) -> None:
    """OpenSSL takes 4.4 MB. The configuration imports checks, and with them asyncio, before the daemon."""
    (tmp_path / "c.toml").write_text("")
    program = (
        "import sys; from powerd.__main__ import main; main(sys.argv[1:]); import asyncio, powerd.service;"
        "print('_ssl' in sys.modules)"
    )
    argv = [sys.executable, "-c", program, "check", "--config", str(tmp_path / "c.toml")]
    assert subprocess.check_output(argv, text=True).endswith("False\n")
