"""MPD: a Music Player Daemon that plays, and is not paused.

The state is that of the command ``status`` (https://mpd.readthedocs.io/en/latest/protocol.html), over TCP or
the Unix socket of ``bind_to_address``. The password is in a file that is closed to others.
"""

from __future__ import annotations

import re
from typing import Final

from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.checks.http import read_secret_file
from powerd.activity.model import Activity
from powerd.config.declare import absolute_path, duration, integer, option, text_as
from powerd.config.values import parse_host
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.http_client import clean
from powerd.linux.values import HostError

_MAX_ANSWER: Final = 1 << 14
_STATE: Final = re.compile(r"^state: (play|pause|stop)$", re.MULTILINE)
_END: Final = re.compile(r"^(OK|ACK .*)$", re.MULTILINE)
_GREETING: Final = "OK MPD "


def _parse_server(text: str) -> str:
    return text if text.startswith("/") else parse_host(text)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one server."""

    address: str = option("127.0.0.1", "IP address, or path of the Unix socket", text_as(_parse_server))
    port: int = option(6600, "TCP port of the server", integer(1, 65535))
    password_file: str = option("", "a file with the password, which others cannot read", absolute_path())
    timeout: float = option(5.0, "time for the answer", duration(0.1, 10))


def is_complete(data: bytes) -> bool:
    """Whether ``data`` holds the greeting and the answer to ``status``, or an error."""
    text = data.decode(errors="replace")
    if not text.startswith(_GREETING[: len(text)]):
        return True
    replies = _END.findall(text)
    return bool(_STATE.search(text) and replies) or any(reply != "OK" for reply in replies)


def parse(data: bytes, server: str) -> str:
    """The state: ``play``, ``pause`` or ``stop``.

    Raises:
        HostError: the answer has none.
    """
    text = data.decode(errors="replace")
    state = _STATE.search(text)
    if not text.startswith(_GREETING):
        raise HostError(f"{server} does not answer as MPD; check address and port")
    error = next((each for each in _END.findall(text) if each != "OK"), None)
    if state is None or error:
        raise HostError(f"MPD at {server} answers: {clean(error or 'no state')}; check the password")
    return state[1]


class MpdCheck:
    """Queries one server.

    Args:
        options: of the check.
        ports: the network.
    """

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports
        self._login: str | None = None

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """Query the state."""
        del depth
        options = self._options
        if self._login is None:
            self._login = _login(options.password_file)
        try:
            data = await self._ports.network.exchange(
                (options.address, options.port),
                f"{self._login}status\nclose\n".encode(),
                is_complete=is_complete,
                limit=_MAX_ANSWER,
                timeout=options.timeout,
            )
            state = parse(data, options.address)
        except HostError:
            self._login = None  # a new password applies at the next poll
            raise
        names = {"play": "plays", "pause": "is paused", "stop": "is stopped"}
        return (Activity("mpd", f"MPD {names[state]}", keeps_awake=state == "play"),)


def _login(password_file: str) -> str:
    password = read_secret_file(password_file).strip()
    if not password:
        return ""
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    if not escaped.isprintable():
        raise HostError(f"{password_file}: the password must be one line of printable characters")
    return f'password "{escaped}"\n'


KIND: Final = CheckKind("mpd", Options, MpdCheck, many=True)
