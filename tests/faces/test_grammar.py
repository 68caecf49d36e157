"""What is said twice, for the grammar imports next to nothing."""

from __future__ import annotations

import pytest

from powerd.faces.grammar import parser
from powerd.model import TESTS


def test_the_self_tests_are_those_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["smart", "--help"])
    assert f"--test {{{','.join(TESTS)}}}" in capsys.readouterr().out
