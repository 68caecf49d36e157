"""The commands that read the configuration: check, config and run. Other commands do not load ``config/``."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from powerd.config.load import DEFAULT_PATH, ConfigError, empty_sleep_rules, load, locate_clauses
from powerd.config.meaning import doubts, rule_sentence
from powerd.config.options import Options
from powerd.config.problems import Problem
from powerd.config.sample import effective_toml
from powerd.ui.cli.client import EXIT_OK, EXIT_USAGE
from powerd.ui.cli.output import emit
from powerd.ui.cli.run_command import config_file_argument
from powerd.ui.layout import counted, hanging_lines, join_lines, paragraph_lines


def check(arguments: argparse.Namespace) -> int:
    """``powerd check``: print a summary, the rules and warnings, or every error of the configuration."""
    try:
        options = load(config_file_argument(arguments))
    except ConfigError as error:
        if not arguments.json:
            _exit_with_faults(list(map(str, error.faults)))
        emit(_check_json(arguments, None, error.faults))
        return EXIT_USAGE
    file = config_file_argument(arguments) or DEFAULT_PATH
    clauses = (*doubts(options, empty_sleep_rules(file)), *arguments.machine.find_missing(options, file))
    problems = locate_clauses(file, clauses, "warning")
    notes: Sequence[str] = ()
    if options.disks.spin_down_after or options.disks.rule:
        notes = arguments.machine.find_conflicts()
    if arguments.json:
        problems += [Problem(str(file), None, "", note, "", "note") for note in notes]
        emit(_check_json(arguments, options, problems))
        return EXIT_OK
    missing = config_file_argument(arguments) is None and not file.exists()
    state = "does not exist; the defaults are in force" if missing else "ok"
    emit(f"{file}: {state}\n{join_lines(paragraph_lines(summarize_options(options)))}")
    for number, rule in enumerate(options.sleep, 1):
        emit(_format_notice(f"rule {number}", rule_sentence(rule)))
    for problem in problems:
        emit(_format_notice("warning", str(problem)))
    for note in notes:
        emit(_format_notice("note", note))
    return EXIT_OK


def _check_json(arguments: argparse.Namespace, options: Options | None, problems: Sequence[Problem]) -> str:
    """The result of ``powerd check --json``; ``options`` None = the configuration is invalid."""
    document = {
        "file": str(config_file_argument(arguments) or DEFAULT_PATH),
        "valid": options is not None,
        "summary": None if options is None else summarize_options(options),
        "rules": [] if options is None else [rule_sentence(rule) for rule in options.sleep],
        "problems": [asdict(problem) for problem in problems],
    }
    return f"{json.dumps(document, ensure_ascii=False, indent=2)}\n"


def _format_notice(kind: str, text: str) -> str:
    """One wrapped paragraph. Text after an empty line is for copying, so it is not wrapped."""
    first_paragraph, separator, rest = text.partition("\n\n")
    return join_lines(hanging_lines(f"{kind}: ", first_paragraph)) + (f"\n{rest}\n" if separator else "")


def config(arguments: argparse.Namespace) -> int:
    """``powerd config``: the configuration with all defaults, as TOML or as JSON of the same keys."""
    text = effective_toml(load_options(config_file_argument(arguments)))
    if arguments.json:
        text = f"{json.dumps(tomllib.loads(text), ensure_ascii=False, indent=2)}\n"
    emit(text)
    return EXIT_OK


def import_file(arguments: argparse.Namespace) -> int:
    """``powerd import``: another program's configuration as one of powerd."""
    from powerd.config.imports import convert  # noqa: PLC0415 - only this command needs it

    path = Path(arguments.file)
    try:
        emit(convert(path.name, path.read_text(errors="replace"), arguments.machine.by_id_name))
    except OSError as error:
        _exit_with_faults([f"powerd: cannot read {path}: {error.strerror}; name another file"])
    except ValueError as error:
        _exit_with_faults([f"powerd: {error}"])
    return EXIT_OK


def summarize_options(options: Options) -> str:
    """``observe mode, 2 sleep rules, clients from leases auto``."""
    count = len(options.sleep)
    rules = counted(count, "sleep rule") if count else "no sleep rule, so the server never sleeps"
    clients = options.clients
    client_sources = [f"leases {', '.join(clients.leases)}"] if clients.leases else []
    hosts = len(clients.hosts)
    client_sources += [counted(hosts, "named host")] if hosts else []
    client_sources += ["hosts learned on the LAN"] if clients.learn else []
    return f"{options.mode} mode, {rules}, clients from {' and '.join(client_sources) or 'no source'}"


def load_options(file: Path | None, *, check_secrets: bool = True) -> Options:
    """The configuration, as load(); prints every error of an invalid one, and exits."""
    try:
        return load(file, check_secrets=check_secrets)
    except ConfigError as error:
        _exit_with_faults(list(map(str, error.faults)))


def _exit_with_faults(faults: Sequence[str]) -> NoReturn:
    for fault in faults:
        print(fault, file=sys.stderr)
    raise SystemExit(EXIT_USAGE)
