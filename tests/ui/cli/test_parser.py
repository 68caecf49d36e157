"""What is said twice, for the grammar imports next to nothing."""

from __future__ import annotations

import pytest

from powerd.smart.actions import TEST_KINDS
from powerd.ui.cli.parser import build_parser


def test_the_self_tests_are_those_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["smart", "--help"])
    assert f"--test {{{','.join(TEST_KINDS)}}}" in capsys.readouterr().out
