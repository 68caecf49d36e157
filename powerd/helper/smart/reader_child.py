"""``python -m powerd.helper.smart.reader_child``: smartctl's answer on stdin becomes a Health on stdout.

A process of its own and for one answer: pySMART costs 14 MB, changes its process, and may raise or spin on
what a drive's firmware made up. It holds no device and is given no argument.
"""

from __future__ import annotations

import json
import sys
import warnings

from powerd.core.codec import CodecError, encode
from powerd.helper.smart.pysmart_tables import UnreadableReportError
from powerd.helper.smart.reader import read_health

_MAX_INPUT = 1 << 20
"""Bytes of an answer: a full one has 60 kB, and one that is cut off here is torn."""


def main() -> int:
    """Tell one Health, or why there is none, as ``{"health": …}`` or ``{"error": "…"}``.

    Returns:
        The exit status: 0, or 1 where there is no Health.
    """
    warnings.simplefilter("ignore")  # pySMART's are for programmers
    output = sys.stdin.buffer.read(_MAX_INPUT)
    try:
        # When it was made is the asker's to say.
        reply: dict[str, object] = {"health": encode(read_health(output, 0.0))}
    except (UnreadableReportError, CodecError) as error:
        reply = {"error": str(error)}
    sys.stdout.write(json.dumps(reply) + "\n")
    return 0 if "health" in reply else 1


if __name__ == "__main__":
    sys.exit(main())
