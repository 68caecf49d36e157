"""The commands that need the configuration: check, config and run. Nothing else loads config/."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from powerd.config import ConfigError, Options, effective, load
from powerd.config.load import DEFAULT_PATH
from powerd.config.notify import cautions
from powerd.faces.client import ANSWERED, USAGE
from powerd.faces.terminal import say
from powerd.faces.words import hanging, joined


def check(arguments: argparse.Namespace) -> int:
    """``powerd check``: what the configuration comes to, and what is to be known about it; or every fault."""
    options = _options(arguments)
    file = _file(arguments)
    missing = file is None and not DEFAULT_PATH.exists()
    where = f"{DEFAULT_PATH}: not there, so the defaults hold" if missing else f"{file or DEFAULT_PATH}: ok"
    say(f"{where}\n{meaning(options)}\n")
    for caution in cautions(options, file or DEFAULT_PATH):
        say(_told("warning", caution))
    if options.disks.spin_down_after or options.disks.rule:
        for finding in arguments.survey():
            say(_told("note", finding))
    return ANSWERED


def _told(kind: str, text: str) -> str:
    """A paragraph that fits; what follows an empty line is to be copied, so it stays as it is."""
    head, gap, rest = text.partition("\n\n")
    return joined(hanging(f"{kind}: ", head)) + (f"\n{rest}\n" if gap else "")


def config(arguments: argparse.Namespace) -> int:
    """``powerd config``: the configuration in force, as TOML."""
    say(effective(_options(arguments)))
    return ANSWERED


def run(arguments: argparse.Namespace) -> int:
    """``powerd run``: the daemon, which reads the configuration by itself."""
    code: int = arguments.run(_file(arguments), arguments.observe, Path(arguments.socket))
    return code


def meaning(options: Options) -> str:
    """What it comes to, in one line: ``observe mode, 2 sleep rules, clients from leases auto``."""
    count = len(options.sleep)
    rules = f"{count} sleep rule{'' if count == 1 else 's'}" if count else "no sleep rule, so it never sleeps"
    clients = options.clients
    known = [f"leases {', '.join(clients.leases)}"] if clients.leases else []
    hosts = len(clients.hosts)
    known += [f"{hosts} named host{'' if hosts == 1 else 's'}"] if hosts else []
    known += ["what is learned on the LAN"] if clients.learn else []
    return f"{options.mode} mode, {rules}, clients from {' and '.join(known) or 'nowhere'}"


def _file(arguments: argparse.Namespace) -> Path | None:
    """The configuration file asked for; None = the usual one, if it is there."""
    text = arguments.config or os.environ.get("POWERD_CONFIG")
    return Path(text) if text else None


def _options(arguments: argparse.Namespace) -> Options:
    try:
        return load(_file(arguments))
    except ConfigError as error:
        _refuse(error.faults)


def _refuse(faults: Sequence[str]) -> NoReturn:
    for fault in faults:
        print(fault, file=sys.stderr)
    raise SystemExit(USAGE)
