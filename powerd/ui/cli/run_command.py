"""``powerd run``; not in config_commands.py, because the daemon itself loads what it needs of config/."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def run(arguments: argparse.Namespace) -> int:
    """``powerd run``: run the daemon, which loads the configuration itself."""
    code: int = arguments.run(config_file_argument(arguments), arguments.observe, Path(arguments.socket))
    return code


def config_file_argument(arguments: argparse.Namespace) -> Path | None:
    """The requested configuration file; None = the default file, if it exists."""
    text = arguments.config or os.environ.get("POWERD_CONFIG")
    return Path(text) if text else None
