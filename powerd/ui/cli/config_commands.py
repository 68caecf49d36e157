"""The commands that read the configuration: check, config and run. Other commands do not load ``config/``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from powerd.config.load import DEFAULT_PATH, ConfigError, load
from powerd.config.meaning import doubts, rule_sentence
from powerd.config.options import Options, option_warnings
from powerd.config.sample import effective_toml
from powerd.ui.cli.client import EXIT_OK, EXIT_USAGE
from powerd.ui.cli.output import emit
from powerd.ui.layout import hanging_lines, join_lines


def check(arguments: argparse.Namespace) -> int:
    """``powerd check``: print a summary and warnings, or every error of the configuration."""
    options = load_options(arguments)
    config_file = _config_file_argument(arguments)
    missing = config_file is None and not DEFAULT_PATH.exists()
    summary_line = (
        f"{DEFAULT_PATH}: does not exist; the defaults are in force"
        if missing
        else f"{config_file or DEFAULT_PATH}: ok"
    )
    emit(f"{summary_line}\n{summarize_options(options)}\n")
    for number, rule in enumerate(options.sleep, 1):
        emit(_format_notice(f"rule {number}", rule_sentence(rule)))
    for warning in option_warnings(options, config_file or DEFAULT_PATH):
        emit(_format_notice("warning", warning))
    for doubt in (*doubts(options), *arguments.machine.find_missing(options)):
        emit(_format_notice("warning", doubt))
    if options.disks.spin_down_after or options.disks.rule:
        for finding in arguments.machine.find_conflicts():
            emit(_format_notice("note", finding))
    return EXIT_OK


def _format_notice(kind: str, text: str) -> str:
    """One wrapped paragraph. Text after an empty line is to be copied by the user, so it is not wrapped."""
    first_paragraph, separator, rest = text.partition("\n\n")
    return join_lines(hanging_lines(f"{kind}: ", first_paragraph)) + (f"\n{rest}\n" if separator else "")


def config(arguments: argparse.Namespace) -> int:
    """``powerd config``: the configuration in force, as TOML."""
    emit(effective_toml(load_options(arguments)))
    return EXIT_OK


def import_file(arguments: argparse.Namespace) -> int:
    """``powerd import``: another program's configuration as one of powerd."""
    from powerd.config.imports import convert  # noqa: PLC0415 - only this command needs it

    path = Path(arguments.file)
    try:
        emit(convert(path.name, path.read_text(errors="replace"), arguments.machine.by_id_name))
    except OSError as error:
        _exit_with_faults([f"cannot read {path}: {error.strerror}; name another file"])
    except ValueError as error:
        _exit_with_faults([str(error)])
    return EXIT_OK


def run(arguments: argparse.Namespace) -> int:
    """``powerd run``: run the daemon, which loads the configuration itself."""
    code: int = arguments.run(_config_file_argument(arguments), arguments.observe, Path(arguments.socket))
    return code


def summarize_options(options: Options) -> str:
    """One line: ``observe mode, 2 sleep rules, clients from leases auto``."""
    count = len(options.sleep)
    rules = (
        f"{count} sleep rule{'' if count == 1 else 's'}"
        if count
        else "no sleep rule, so the server never sleeps"
    )
    clients = options.clients
    client_sources = [f"leases {', '.join(clients.leases)}"] if clients.leases else []
    hosts = len(clients.hosts)
    client_sources += [f"{hosts} named host{'' if hosts == 1 else 's'}"] if hosts else []
    client_sources += ["hosts learned on the LAN"] if clients.learn else []
    return f"{options.mode} mode, {rules}, clients from {' and '.join(client_sources) or 'no source'}"


def _config_file_argument(arguments: argparse.Namespace) -> Path | None:
    """The requested configuration file; None = the default file, if it exists."""
    text = arguments.config or os.environ.get("POWERD_CONFIG")
    return Path(text) if text else None


def load_options(arguments: argparse.Namespace) -> Options:
    """The configuration; prints every error of an invalid one, and exits."""
    try:
        return load(_config_file_argument(arguments))
    except ConfigError as error:
        _exit_with_faults(list(map(str, error.faults)))


def _exit_with_faults(faults: Sequence[str]) -> NoReturn:
    for fault in faults:
        print(fault, file=sys.stderr)
    raise SystemExit(EXIT_USAGE)
