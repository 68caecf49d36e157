"""How a tool has ended."""

from __future__ import annotations

from powerd.helper.done import Done


def test_last_words() -> None:
    assert Done(1, "out\n", "one\n two \n\n").last_words == "two"
    assert Done(4, "out\n", " \n").last_words == "exit status 4"
