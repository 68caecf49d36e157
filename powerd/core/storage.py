"""Small JSON documents that outlive a restart; each is replaced as a whole, by rename(2).

No fsync, because it can block the event loop while a disk spins up. A power cut shortly after the rename can
leave the new document empty or truncated: some filesystems (XFS, f2fs) write the new name before the data.
powerd then learns the data again. Of an irreplaceable document the previous version is kept as ``.old``, once
the kernel has had the time to write it.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Final

_WRITEBACK_TIME: Final = 3600.0
"""Seconds after which the kernel has written a file: 30 by default, more on servers that let disks sleep long
(vm.dirty_expire_centisecs, vm.dirty_writeback_centisecs)."""


class Storage:
    """Documents in one directory.

    Args:
        directory: created by the first save().
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def directory(self) -> Path:
        """The directory of the documents."""
        return self._directory

    def load(self, name: str) -> object:
        """The document ``name``; None if there is none, or it cannot be read."""
        try:
            return json.loads((self._directory / f"{name}.json").read_text())
        except (OSError, ValueError, RecursionError):  # RecursionError: thousands of nested brackets
            return None

    def load_or_set_aside(self, name: str) -> tuple[object, str | None]:
        """Load a document; set it aside if it cannot be read.

        Returns:
            The document, or the previous version of an irreplaceable one, or None; and a message if the
            document could not be read, one sentence.
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
        """Rename an invalid document to ``.torn`` so that it can be examined.

        Returns:
            The previous version of the document, or None; and a message, one sentence.
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
            name: the file name without ``.json``.
            document: JSON values.
            irreplaceable: powerd cannot learn the data again, so the previous version is kept as well.

        Returns:
            Why it could not be written, one sentence, or None.
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
    """Keep the document that is about to be replaced as ``.old``, if the kernel has written it by now.

    Errors are ignored: on filesystems without hard links (vfat) only the new document exists.
    """
    old = path.with_suffix(".old")
    with contextlib.suppress(OSError):
        if new.stat().st_mtime - path.stat().st_mtime >= _WRITEBACK_TIME:
            old.unlink(missing_ok=True)
            os.link(path, old)
