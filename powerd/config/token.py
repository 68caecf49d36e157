"""The secret that changing anything over TCP takes: one line in a file of its own.

It is read each time it is needed, so a new one holds at once, and no printed configuration shows it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Not to wait for ever where the path is a FIFO that nobody writes to."""
_MIN_TOKEN_LENGTH: Final = 16
_MAX_TOKEN_FILE_SIZE: Final = 4096
GRANT_READ_HINT: Final = "let the service read it: chgrp powerd {file}; chmod 640 {file}"
_CREATE_TOKEN_HINT: Final = "make one with: (umask 027; openssl rand -hex 32 > {file})"


def read_token(path: str) -> str:
    """The token in ``path``, without the white space around it.

    Raises:
        ValueError: it cannot be read, or others can read it, or it is no token; one clause with the remedy.
    """
    file = Path(path)
    try:
        with os.fdopen(os.open(file, _OPEN_FLAGS), "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(_MAX_TOKEN_FILE_SIZE) if stat.S_ISREG(mode) else b""
    except FileNotFoundError:
        raise ValueError(f"there is no file {file}; {_CREATE_TOKEN_HINT.format(file=file)}") from None
    except PermissionError:
        raise ValueError(
            f"{file} cannot be read: permission denied; {GRANT_READ_HINT.format(file=file)}"
        ) from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{file} is no plain file; {_CREATE_TOKEN_HINT.format(file=file)}")
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ValueError(f"everybody may read or write {file}; run: chmod o-rwx {file}")
    token = content.strip().decode("ascii", errors="replace")
    if len(token) < _MIN_TOKEN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(
            f"{file} holds no single word of {_MIN_TOKEN_LENGTH} ASCII characters or more; {_CREATE_TOKEN_HINT.format(file=file)}"
        )
    return token
