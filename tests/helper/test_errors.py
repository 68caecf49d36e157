"""Lines for the journal."""

from __future__ import annotations

import io
import sys

import pytest

from powerd.helper.errors import NOTICE, WARNING, log_line


def test_a_line_and_its_level(capsys: pytest.CaptureFixture[str]) -> None:
    log_line(NOTICE, "one")
    log_line(WARNING, "two")
    assert capsys.readouterr().err == "<5>one\n<4>two\n"


def test_nobody_listening_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    log_line(NOTICE, "one")
