"""Eyes for a tree of files, which count what they are asked, and fail where they are told to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from powerd.host.machine import Machine
from powerd.host.values import FileMark, HostError


class TreeEyes(Machine):
    """The real Eyes below ``root``.

    Attributes:
        marked, opened: how often each path was looked at and read since the last forget().
        barred: paths that cannot be looked at or read.
        air: what each access point tells, by the path of its control socket; None = it does not answer.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.marked: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()
        self.barred: set[str] = set()
        self.air: dict[str, str | None] = {}

    def put(self, path: str, *texts: str) -> None:
        """Replace a file, as a server does that writes a new one and renames it."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(file.name + ".new")
        new.write_text("".join(texts))
        new.rename(file)

    def add(self, path: str, text: str) -> None:
        """Append to a file."""
        with (self.root / path.lstrip("/")).open("a") as file:
            file.write(text)

    def remove(self, path: str) -> None:
        (self.root / path.lstrip("/")).unlink()

    def set_time(self, path: str, mark: FileMark) -> None:
        """Give a file an earlier version's time, as writing within one tick of the kernel's clock does."""
        os.utime(self.root / path.lstrip("/"), ns=(mark.mtime_ns, mark.mtime_ns))

    def forget(self) -> None:
        self.marked.clear()
        self.opened.clear()

    def find(self, pattern: str) -> tuple[str, ...]:
        if pattern in self.barred:
            raise HostError(f"cannot look into {pattern}: Permission denied; be somebody else")
        return super().find(pattern)

    def mark(self, path: str) -> FileMark | None:
        self.marked[path] += 1
        return super().mark(path)

    def chunks(self, path: str) -> AsyncIterator[str]:
        self.opened[path] += 1
        if path in self.barred:
            raise HostError(f"cannot read {path}: Permission denied; be somebody else")
        return super().chunks(path)

    async def stations(self, control: str) -> str:
        answer = self.air[control]
        if answer is None:
            raise HostError(f"{control} does not answer; is hostapd still running?")
        return answer
