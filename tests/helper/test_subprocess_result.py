"""How a tool has ended."""

from __future__ import annotations

from powerd.helper.subprocess import CompletedTool


def test_last_words() -> None:
    assert CompletedTool(1, "out\n", "one\n two \n\n").last_error_line == "two"
    assert CompletedTool(4, "out\n", " \n").last_error_line == "exit status 4"
