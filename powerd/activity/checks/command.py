"""Command: a program whose exit status, or whose output, means work.

Without an expression, exit status 0 means work and keeps the server awake, and 1 means none, as of test(1)
and grep(1); any other status is a failure of the check. ``systemctl is-active`` ends with 3 for an inactive
unit, so its output needs an expression, as that of ``systemctl show`` in the example. With an expression, the
program must end with status 0, and what its output contains is compared with a number.

The program runs without a shell, as the user of the daemon and in its sandbox: it has no access to processes
of other users, /home, the /tmp of other services, or devices, and reaches private networks only
(docs/security.md). To search for processes, use the check ``process``. A program may read from a disk, so it
runs only when a sleep is near, or while its last result kept the server awake.

There is no check of the journal, because reading it reads from the disk that holds it. ``journalctl
--since=-10min --grep=...`` is a command for this check; the user of the daemon must be in the group
``systemd-journal``. Without it journalctl ends with status 1, as if nothing was found.
"""

from __future__ import annotations

from typing import Final

from powerd.activity.answer import AnswerOptions, select
from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.model import Activity
from powerd.config.declare import argv, duration, option
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.subprocess import OUTPUT_CAP
from powerd.linux.values import HostError

_IDLE_STATUS: Final = 1


@dataclass(frozen=True, slots=True)
class Options(AnswerOptions):
    """The options of one command."""

    command: tuple[str, ...] = option((), "argv; its program is an absolute path", argv())
    timeout: float = option(10.0, "a command that runs longer is ended and has failed", duration(0.1, 20))

    def __post_init__(self) -> None:
        """Check the combination."""
        if not self.command:
            raise ValueError('requires a command; write command = ["/usr/bin/program", "argument"]')
        if self.is_set or self.require:
            AnswerOptions.__post_init__(self)  # super() does not know the class that slots=True makes


class CommandCheck:
    """Runs one command.

    Args:
        options: of the check.
        ports: the child processes.
    """

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports
        self._name = options.command[0].rpartition("/")[2]

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """Run the command."""
        del depth
        options = self._options
        result = await self._ports.processes.run(options.command, timeout=options.timeout)
        if not options.is_set:
            if result.status not in {0, _IDLE_STATUS}:
                raise HostError(f"{options.command[0]} {result.describe()}; status 0 means work, 1 none")
            text = options.text or f"{self._name} ends with status {result.status}"
            return (Activity(self._name, text, keeps_awake=result.status == 0),)
        if result.status:
            raise HostError(f"{options.command[0]} {result.describe()}; run it by hand")
        if (
            len(result.stdout.encode()) >= OUTPUT_CAP
        ):  # it was cut: U+FFFD is no shorter than what it replaces
            raise HostError(f"{options.command[0]} prints more than {OUTPUT_CAP} bytes; let it print less")
        try:
            selection = select(result.stdout, options.expression)
        except ValueError as error:
            raise HostError(f"{options.command[0]}: {error}; check the expression") from None
        return (options.activity(self._name, selection),)


KIND: Final = CheckKind(
    "command",
    Options,
    CommandCheck,
    many=True,
    near_sleep_only=True,
    example=Options(
        command=("/usr/bin/systemctl", "show", "--property=LoadState,ActiveState", "backup.service"),
        require="^LoadState=loaded",
        regex="^ActiveState=(?!inactive|failed)(.*)",
        text="backup.service is",
    ),
)
