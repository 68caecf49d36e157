"""Checks whether Apprise accepts URLs, in a separate process, because Apprise takes 46 MB.

``python -m powerd.config.apprise_urls`` reads a JSON list of URLs on standard input, and writes one of the
positions, from 1, of those that are refused. URLs contain secrets, so they are not arguments.
"""

from __future__ import annotations

import json
import logging
import sys


def main() -> None:
    """Examine the URLs on standard input."""
    logging.disable()  # its log contains the URLs
    import apprise  # noqa: PLC0415 - an extra

    urls = json.load(sys.stdin)
    refused = [number for number, url in enumerate(urls, 1) if not apprise.Apprise().add(url)]
    sys.stdout.write(json.dumps(refused))


if __name__ == "__main__":
    main()
