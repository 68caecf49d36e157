"""What outlives a restart: small JSON documents, replaced whole, so that none is ever half-written.

There is no fsync: it could block the loop behind a disk that is spinning up. There is one daemon, so one
``.new`` file will do; rename(2) over the old file is atomic, and a document that a power cut garbles is only
learned anew.
"""

from __future__ import annotations

import json
from pathlib import Path


class Store:
    """Documents in one directory.

    Args:
        directory: made when first needed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def directory(self) -> Path:
        """Where they are kept."""
        return self._directory

    def load(self, name: str) -> object:
        """The document ``name``; None where there is none, or none that can be read."""
        try:
            return json.loads((self._directory / f"{name}.json").read_text())
        except (OSError, ValueError, RecursionError):  # the last: brackets, thousands deep
            return None

    def save(self, name: str, document: object) -> str | None:
        """Replace the document; gives back why it could not be kept, one sentence, or None."""
        path = self._directory / f"{name}.json"
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(document, indent=1) + "\n")
            new.replace(path)
        except OSError as error:
            return f"{path}: cannot be written: {error.strerror}; it is lost at a restart"
        return None
