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

    def take(self, name: str) -> tuple[object, str | None]:
        """As load(), but what cannot be read is set aside, and the second value says so, one sentence."""
        path = self._directory / f"{name}.json"
        try:
            return json.loads(path.read_text()), None
        except FileNotFoundError:
            return None, None
        except OSError as error:
            return None, f"{path}: cannot be read: {error.strerror}; it counts as empty"
        except (ValueError, RecursionError):
            return None, self.set_aside(name, "it is torn")

    def set_aside(self, name: str, why: str) -> str:
        """Keep a document that is none for whoever wants to look at it; gives back what to say of it."""
        path = self._directory / f"{name}.json"
        aside = path.with_suffix(".torn")
        try:
            path.replace(aside)
        except OSError as error:
            return f"{path}: cannot be used ({why}), nor set aside: {error.strerror}; it counts as empty"
        return f"{path}: cannot be used ({why}); it was set aside as {aside.name}, and begins anew"

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
