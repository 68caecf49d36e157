"""Kodi: a player that plays, and is not paused.

It is queried over its JSON-RPC interface (https://kodi.wiki/view/JSON-RPC_API/v13, XBMC.GetInfoBooleans),
which Settings/Services/Control/"Allow remote control via HTTP" enables. The user and password are in a header
file: ``Authorization: Basic ...``. An ``https:`` URL is for the check http, because TLS takes a child process
each time.
"""

from __future__ import annotations

from typing import Final, Literal

from powerd.activity.check import CheckKind, CheckPorts
from powerd.activity.checks.http import HttpCheck
from powerd.activity.checks.http import Options as HttpOptions
from powerd.config.declare import OptionType, absolute_path, choice, duration, nonempty_string, option
from powerd.core.dataclass import dataclass
from powerd.linux.http_client import parse_url

_REQUEST: Final = (
    '{"jsonrpc": "2.0", "id": 1, "method": "XBMC.GetInfoBooleans",'
    ' "params": {"booleans": ["Player.HasMedia", "Player.Paused"]}}'
)
_HAS_MEDIA: Final = 'result."Player.HasMedia"'
_PLAYS: Final = f'{_HAS_MEDIA} && !(result."Player.Paused")'


def _plain_url() -> OptionType[str]:
    """An ``http:`` URL. Kodi is queried in every round, and TLS would take a child process each time."""
    text = nonempty_string()

    def read(value: object) -> str:
        url = parse_url(text.read(value))
        if not url.lower().startswith("http:"):
            raise ValueError("must be an http: URL; for a server with TLS use [[activity.http]]")
        return url

    return OptionType(read, text.show)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one Kodi."""

    url: str = option("http://127.0.0.1:8080/jsonrpc", "http: URL of the JSON-RPC interface", _plain_url())
    header_file: str = option(
        "", 'a file with header lines "Name: value", which others cannot read', absolute_path()
    )
    paused: Literal["counts", "ignored"] = option(
        "ignored", '"counts": a paused player keeps the server awake', choice("counts", "ignored")
    )
    timeout: float = option(5.0, "time for the answer", duration(0.1, 10))


def new(options: Options, ports: CheckPorts) -> HttpCheck:
    """The check of one Kodi."""
    request = HttpOptions(
        url=options.url,
        post=_REQUEST,
        header_file=options.header_file,
        timeout=options.timeout,
        jmespath=_HAS_MEDIA if options.paused == "counts" else _PLAYS,
        require="contains(keys(result), 'Player.HasMedia')",
        text="Kodi plays" if options.paused == "ignored" else "Kodi plays or is paused",
    )
    return HttpCheck(request, ports)


KIND: Final = CheckKind("kodi", Options, new, many=True)
