"""``python -m powerd.messages.apprise_child``: sends messages by Apprise (github.com/caronc/apprise).

One process for all messages that are due: Apprise and its dependencies take 46 MB, and connect to the
Internet. It reads ``{"messages": [{"urls": [...], "title": "...", "body": "...", "severity": "..."}]}`` on
standard input, and prints a list for each message, with an error for each of its URLs, "" = sent. URLs
contain secrets, so they are not arguments, and no error contains a part of one.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
from typing import Final

from powerd.messages.model import clean_text

_MAX_HOST: Final = 64
_NOTIFY_TYPES: Final = {"note": "info", "warning": "warning", "alarm": "failure"}
"""Notification types of Apprise by severity."""
_CAUSES: Final = (
    ("Name or service not known", "its name cannot be resolved"),
    ("name resolution", "its name cannot be resolved"),
    ("No address associated", "its name cannot be resolved"),
    ("Connection refused", "the connection was refused"),
    ("timed out", "it does not answer"),
    ("unreachable", "the network is unreachable"),
    ("No route to host", "there is no route to it"),
    ("not permitted", "a firewall or IPAddressAllow= of the service forbids it"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate cannot be verified"),
)
"""What the log of Apprise contains, and what it means; the log itself contains secrets."""
_OF_MESSAGE: Final = ("400", "413", "422")
"""HTTP: bad request, content too large, unprocessable content."""
_STATUS: Final = re.compile(r"\berror\s?=\s?(\d{3})\b")


class LogMemory(logging.Handler):
    """Keeps what Apprise logs about one URL."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Append the message of the record."""
        self.text += f"{record.getMessage()}\n"

    def concerns_message(self) -> bool:
        """Whether the service has refused this message, and may accept others."""
        status = _STATUS.search(self.text)
        return status is not None and status[1] in _OF_MESSAGE

    def cause(self) -> str:
        """Why sending has failed, one clause without any part of the URL."""
        for text, cause in _CAUSES:
            if text in self.text:
                return cause
        status = _STATUS.search(self.text)
        return f"it answers with the status {status[1]}" if status else "not sent"


def main() -> int:
    """Send the messages; returns the exit status: 1 = Apprise is not installed (see standard error)."""
    messages = json.load(sys.stdin)["messages"]
    try:
        import apprise  # noqa: F401, PLC0415 - an extra, and what it lacks is to be said
    except ImportError:
        print("Apprise is not installed: pip install 'powerd[notify]'", file=sys.stderr)  # noqa: T201 - the parent process reads it
        return 1
    failed: dict[str, str] = {}
    errors = [[_send(url, message, failed) for url in message["urls"]] for message in messages]
    print(json.dumps(errors))  # noqa: T201 - the parent process reads it
    return 0


def _send(url: str, message: dict[str, str], failed: dict[str, str]) -> str:
    """Send one message to one URL; returns the error, or "".

    ``failed`` has the error of each URL that has failed: the next messages would wait for it as well.
    """
    import apprise  # noqa: PLC0415 - an extra, which main() has looked for

    if url in failed:
        return failed[url]
    log, logger = LogMemory(), logging.getLogger("apprise")
    logger.handlers, logger.propagate = [log], False
    logger.setLevel(logging.DEBUG)
    host = clean_text(socket.gethostname(), _MAX_HOST)
    kind = _NOTIFY_TYPES.get(message["severity"], "info")
    try:
        sender = apprise.Apprise()
        if not sender.add(url):
            failed[url] = "Apprise does not know this kind of URL, or it is incomplete"
        elif not sender.notify(message["body"], title=f"{host}: {message['title']}", notify_type=kind):
            if log.concerns_message():
                return log.cause()
            failed[url] = log.cause()
    except Exception as error:  # noqa: BLE001 - the text may contain the URL
        failed[url] = f"Apprise has failed: {type(error).__name__}"
    return failed.get(url, "")


if __name__ == "__main__":
    sys.exit(main())
