"""What outlives a restart: small JSON documents, replaced whole, so that none is ever half-written.

There is no fsync: it could block the loop behind a disk that is spinning up. There is one daemon, so one
``.new`` file will do; rename(2) over the old file is atomic. But a power cut soon after may leave the new one
empty or cut, for some filesystems (XFS, f2fs) write the new name before the data. What can be learned anew is
learned anew. Of what cannot, the document before it stays as ``.old``: one that is long on the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Final

_WRITEBACK_TIME: Final = 3600.0
"""Seconds after which the kernel has written a file: 30 of its own accord, more where disks are to sleep long
(vm.dirty_expire_centisecs, vm.dirty_writeback_centisecs)."""


class Storage:
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

    def load_or_set_aside(self, name: str) -> tuple[object, str | None]:
        """As load(), but what cannot be read is set aside, and the second value says so, one sentence.

        What was kept before it takes its place, if that was dear; so there may be both.
        """
        path = self._directory / f"{name}.json"
        try:
            return json.loads(path.read_text()), None
        except FileNotFoundError:
            return None, None
        except OSError as error:
            return None, f"{path}: cannot be read: {error.strerror}; it counts as empty"
        except (ValueError, RecursionError):
            return self.set_aside(name, "it is torn")

    def set_aside(self, name: str, reason: str) -> tuple[object, str]:
        """Keep a document that is none for whoever wants to look at it.

        Returns:
            What was kept before it, or None; and what to say of it all, one sentence.
        """
        path = self._directory / f"{name}.json"
        aside = path.with_suffix(".torn")
        try:
            path.replace(aside)
        except OSError as error:
            return (
                None,
                f"{path}: cannot be used ({reason}), nor set aside: {error.strerror}; it counts as empty",
            )
        message = f"{path}: cannot be used ({reason}); it was set aside as {aside.name}"
        try:
            path.with_suffix(".old").replace(path)
        except OSError:
            return None, f"{message}, and begins anew"
        previous, error_message = self.load_or_set_aside(name)
        return previous, error_message or f"{message}, and what was kept before it is used"

    def save(self, name: str, document: object, *, irreplaceable: bool = False) -> str | None:
        """Replace the document.

        Args:
            name: of it.
            document: what JSON has.
            irreplaceable: it cannot be learned anew, so what was kept before stays as well.

        Returns:
            Why it could not be kept, one sentence, or None.
        """
        path = self._directory / f"{name}.json"
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(document, indent=1) + "\n")
            if irreplaceable:
                _keep_previous_version(path, new)
            new.replace(path)
        except OSError as error:
            return f"{path}: cannot be written: {error.strerror}; it is lost at a restart"
        return None


def _keep_previous_version(path: Path, new: Path) -> None:
    """Let a document stay that is about to be replaced, if it is old enough to be on the disk.

    The new one matters more: it is kept also where there are no links (vfat).
    """
    old = path.with_suffix(".old")
    with contextlib.suppress(OSError):
        if new.stat().st_mtime - path.stat().st_mtime >= _WRITEBACK_TIME:
            old.unlink(missing_ok=True)
            os.link(path, old)
