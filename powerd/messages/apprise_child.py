"""``python -m powerd.messages.apprise_child``: sends a notification by Apprise (https://github.com/caronc/apprise).

One process per notification: Apprise and its dependencies take 46 MB, and connect to the Internet. It reads
``{"urls": [...], "title": "...", "body": "...", "severity": "..."}`` on standard input. URLs contain
secrets, so they are no arguments, and messages contain only their schemes.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Final

_NOTIFY_TYPES: Final = {"note": "info", "warning": "warning", "alarm": "failure"}
"""Notification types of Apprise by severity."""


def main() -> int:
    """Send the notification.

    Returns:
        The exit status: 0 = sent to all URLs; otherwise a sentence on standard error names those that failed.
    """
    logging.disable()  # its log contains the URLs
    notification = json.load(sys.stdin)
    try:
        import apprise  # noqa: PLC0415 - an extra, and what it lacks is to be said
    except ImportError:
        print("Apprise is not installed: pip install 'powerd[notify]'", file=sys.stderr)  # noqa: T201 - the parent process reads it
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
        print(f"not sent to {', '.join(failed)}", file=sys.stderr)  # noqa: T201 - the parent process reads it
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
