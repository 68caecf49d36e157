"""The manual pages, as the programs that read them see them."""

from __future__ import annotations

import re

import pytest

from powerd.config.sample import sample_toml
from powerd.ui.cli.manual import commands_of, configuration_page, manual_page
from powerd.ui.cli.parser import build_parser

MACROS = {".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BR", ".nf", ".fi"}


@pytest.mark.parametrize("page", [manual_page(build_parser()), configuration_page()])
def test_a_page_has_only_requests_of_man(page: str) -> None:
    requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert requests <= MACROS


def test_each_command_and_option_is_in_the_page() -> None:
    page = manual_page(build_parser()).replace(r"\-", "-")
    for name, command in commands_of(build_parser()).items():
        assert f".SS powerd {name}\n" in page
        for option in re.findall(r"--[a-z-]+", command.format_usage()):
            assert option in page


def test_the_sample_is_in_the_page_as_it_is() -> None:
    shown = configuration_page().partition(".nf\n")[2].partition(".fi\n")[0]
    assert (
        shown.replace(r"\-", "-").replace(r"\(aq", "'").replace(r"\&", "").replace(r"\e", "\\")
        == sample_toml()
    )
