"""The one error that the helper answers with."""

from __future__ import annotations

from powerd.model import FailureCause


class RefusalError(Exception):
    """It cannot or must not be done; the text is one sentence with what, where and the remedy.

    Attributes:
        cause: the same for a program.
        commands: that had gone to the disk by then; whoever knows them adds them.
    """

    def __init__(self, reason: str, cause: FailureCause = FailureCause.FAILED) -> None:
        super().__init__(reason)
        self.cause = cause
        self.commands = 0
