"""A machine with a tree of files that counts accesses and fails on request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

from fakes.unused_ports import UnusedPorts

from powerd.linux.files import HostFiles
from powerd.linux.values import HostError, StatSignature


class CountingFiles(HostFiles, UnusedPorts):
    """The real files below ``root``.

    Attributes:
        stat_counts, open_counts: number of stats and reads of each path since the last reset_counts().
        unreadable: paths that cannot be read, and patterns that cannot be listed.
        station_lists: answer of each access point by its control socket; None = it does not answer.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.stat_counts: Counter[str] = Counter()
        self.open_counts: Counter[str] = Counter()
        self.unreadable: set[str] = set()
        self.station_lists: dict[str, str | None] = {}

    def replace_file(self, path: str, *texts: str) -> None:
        """Replace a file by rename, as a server does."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(file.name + ".new")
        new.write_text("".join(texts))
        new.rename(file)

    def append(self, path: str, text: str) -> None:
        """Append to a file."""
        with (self.root / path.lstrip("/")).open("a") as file:
            file.write(text)

    def remove(self, path: str) -> None:
        (self.root / path.lstrip("/")).unlink()

    def restore_mtime(self, path: str, signature: StatSignature) -> None:
        """Set the mtime of an earlier version, as a write within one tick of the kernel's clock would."""
        os.utime(self.root / path.lstrip("/"), ns=(signature.mtime_ns, signature.mtime_ns))

    def reset_counts(self) -> None:
        self.stat_counts.clear()
        self.open_counts.clear()

    def find(self, pattern: str) -> tuple[str, ...]:
        if pattern in self.unreadable:
            raise HostError(f"cannot list {pattern}: Permission denied; run as root")
        return super().find(pattern)

    def stat_signature(self, path: str) -> StatSignature | None:
        self.stat_counts[path] += 1
        return super().stat_signature(path)

    def read_chunks(self, path: str) -> AsyncGenerator[str]:
        self.open_counts[path] += 1
        if path in self.unreadable:
            raise HostError(f"cannot read {path}: Permission denied; run as root")
        return super().read_chunks(path)

    async def stations(self, control: str) -> str:
        answer = self.station_lists[control]
        if answer is None:
            raise HostError(f"{control} does not answer; is hostapd still running?")
        return answer
