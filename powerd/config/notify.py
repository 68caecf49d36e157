"""Where findings are sent: URLs of Apprise's, and what stands in the way of using them."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from powerd.config.options import Options


def parse_notify_url(text: str) -> str:
    """``ntfy://topic``; what follows the scheme may be a secret, so no fault repeats it."""
    if re.match(r"[a-z][a-z0-9+.-]*://.", text, re.IGNORECASE) is None or not text.isprintable():
        raise ValueError('a URL of Apprise\'s is wanted, such as "ntfy://topic"')
    return text


def option_warnings(options: Options, file: Path) -> Iterator[str]:
    """What a person should mend though the configuration is valid, one sentence each.

    Args:
        options: read from ``file``.
        file: need not be there.
    """
    if not options.hooks.notify:
        return
    try:
        mode = file.stat().st_mode
    except OSError:
        mode = 0
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        yield (
            f"{file}: hooks.notify holds secrets, and everybody may read them; run: "
            f"chgrp powerd {file} && chmod 640 {file}"
        )
    if find_spec("apprise") is None:
        yield (
            f"{file}: hooks.notify sends nothing, as Apprise is not installed; run: "
            "/opt/powerd/bin/pip install 'powerd[notify]'"
        )
