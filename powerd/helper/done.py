"""How a tool has ended; pure."""

from __future__ import annotations

from typing import NamedTuple


class CompletedTool(NamedTuple):
    """How a tool ended: exit status (-N = by signal N), standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def last_error_line(self) -> str:
        """The last line of its errors, or its exit status in words where it wrote none."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self.status}"
