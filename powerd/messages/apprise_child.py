"""``python -m powerd.messages.apprise_child``: sends one notification by Apprise (https://github.com/caronc/apprise).

A process of its own and for one notification: Apprise and what it needs take 46 MB, and call the Internet.
It reads ``{"urls": [...], "title": "...", "body": "...", "severity": "..."}`` on standard input; URLs hold
secrets, so they stand in no argument, and nothing that is said of them repeats more than their scheme.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Final

_NOTIFY_TYPES: Final = {"note": "info", "warning": "warning", "alarm": "failure"}
"""Apprise's words for severities."""


def main() -> int:
    """Send it.

    Returns:
        The exit status: 0 = all URLs took it; else a sentence on standard error says which did not.
    """
    logging.disable()  # its log repeats what URLs hold
    notification = json.load(sys.stdin)
    try:
        import apprise  # noqa: PLC0415 - an extra, and what it lacks is to be said
    except ImportError:
        print("Apprise is not installed: pip install 'powerd[notify]'", file=sys.stderr)  # noqa: T201 - the asker reads it
        return 1
    failed = []
    for url in notification["urls"]:
        sender = apprise.Apprise()
        level = _NOTIFY_TYPES.get(notification.get("severity"), "info")
        if not sender.add(url) or not sender.notify(
            notification["body"], title=notification["title"], notify_type=level
        ):
            failed.append(f"{url.partition('://')[0]}://")
    if failed:
        print(f"not sent to {', '.join(failed)}", file=sys.stderr)  # noqa: T201 - as above
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
