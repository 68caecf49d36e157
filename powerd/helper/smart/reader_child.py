"""``python -m powerd.helper.smart.reader_child``: a report of smartctl on stdin becomes a Health on stdout.

One process per report: pySMART costs 14 MB, changes its process, and may raise or loop on what a drive's
firmware reports. It has no device open, and takes no arguments.
"""

from __future__ import annotations

import json
import sys
import warnings

from powerd.core.codec import CodecError, encode
from powerd.helper.smart.pysmart_tables import UnreadableReportError
from powerd.helper.smart.reader import read_health

_MAX_INPUT = 1 << 20
"""Bytes of a report: a full one has 60 kB, and one that is cut off here is truncated."""


def main() -> int:
    """Write ``{"health": …}``, or ``{"error": "…"}`` if there is none.

    Returns:
        The exit status: 0, or 1 without a health.
    """
    warnings.simplefilter("ignore")  # those of pySMART are for its developers
    output = sys.stdin.buffer.read(_MAX_INPUT)
    try:
        # The caller sets the time of the check.
        reply: dict[str, object] = {"health": encode(read_health(output, 0.0))}
    except (UnreadableReportError, CodecError) as error:
        reply = {"error": str(error)}
    sys.stdout.write(json.dumps(reply) + "\n")
    return 0 if "health" in reply else 1


if __name__ == "__main__":
    sys.exit(main())
