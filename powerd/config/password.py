"""Files with a secret, and the password of the status page, of which only a hash is stored.

The hash is scrypt (RFC 7914) as a PHC string, ``$scrypt$ln=14,r=8,p=5$SALT$HASH`` with base64 without padding
(github.com/P-H-C/phc-string-format); the costs are those that OWASP recommends for 16 MiB of memory.
"""

from __future__ import annotations

import binascii
import grp
import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from powerd.config.include import GRANT_READ_HINT
from powerd.linux.regular_file import read_regular_file

MIN_PASSWORD_LENGTH: Final = 8
MAX_PASSWORD_BYTES: Final = 1024
_MAX_FILE_SIZE: Final = 4096
_LOG2_N, _R, _P = 14, 8, 5
_SALT_BYTES, _HASH_BYTES = 16, 32
_PHC: Final = (
    r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{8,86})\$([A-Za-z0-9+/]{43})"
)
_MAX_MEMORY: Final = 64 << 20
_MAX_P: Final = 16
_GROUP: Final = "powerd"
_REMEDY: Final = "run: powerd password"


def read_secret(file: Path, remedy: str) -> bytes:
    """The content of a file that is closed to others, without surrounding white space.

    Args:
        file: the file.
        remedy: how to create it, for the error.

    Raises:
        ValueError: the file cannot be read, or others can read it; one clause with the remedy.
    """
    try:
        content, mode = read_regular_file(file, _MAX_FILE_SIZE)
    except FileNotFoundError:
        raise ValueError(f"{file} does not exist; {remedy}") from None
    except PermissionError:
        raise ValueError(
            f"{file} cannot be read: permission denied; {GRANT_READ_HINT.format(file=file)}"
        ) from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}; name another file, or {remedy}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ValueError(f"everybody may read or write {file}; run: chmod o-rwx {file}")
    return content.strip()


def read_password_hash(path: str) -> str:
    """The hash of the password in ``path``.

    Raises:
        ValueError: the file cannot be read, or others can read it, or it contains no hash; one clause with
            the remedy.
    """
    text = read_secret(Path(path), _REMEDY).decode("ascii", errors="replace")
    try:
        _parameters(text)
    except ValueError:
        raise ValueError(f"{path} contains no hash of a password; {_REMEDY}") from None
    return text


def hash_password(password: str) -> str:
    """The PHC string of a password, with a new salt; takes 0.3 s of CPU time and 16 MB."""
    salt = os.urandom(_SALT_BYTES)
    digest = _scrypt(password, salt, _LOG2_N, _R, _P)
    return f"$scrypt$ln={_LOG2_N},r={_R},p={_P}${_encode(salt)}${_encode(digest)}"


def is_password(password: str, password_hash: str) -> bool:
    """Whether a password has this hash; False if the hash is invalid. Takes as long as hash_password()."""
    try:
        log2_n, r, p, salt, digest = _parameters(password_hash)
    except ValueError:
        return False
    import hmac  # noqa: PLC0415 - loads OpenSSL, at the first login only

    return hmac.compare_digest(_scrypt(password, salt, log2_n, r, p), digest)


def write_password_hash(file: Path, password_hash: str) -> None:
    """Replace the file; the daemon, which runs as group powerd, may read it.

    Raises:
        OSError: the file cannot be written; the old one is as it was.
    """
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w") as stream:  # noqa: PTH123 - opens a descriptor
            if os.geteuid() == 0:
                with suppress(KeyError):  # there is no such group
                    os.fchown(descriptor, 0, grp.getgrnam(_GROUP).gr_gid)
                    os.fchmod(descriptor, 0o640)
            stream.write(f"{password_hash}\n")
            stream.flush()
            os.fsync(descriptor)
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def password_error(password: str) -> str | None:
    """Why this cannot be the new password, one clause; None = it can."""
    if len(password) < MIN_PASSWORD_LENGTH:
        return f"it must have at least {MIN_PASSWORD_LENGTH} characters"
    if len(password.encode(errors="surrogateescape")) > MAX_PASSWORD_BYTES:
        return f"it must have at most {MAX_PASSWORD_BYTES} bytes"
    return None


def _scrypt(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    if sys.modules.get("_hashlib", ...) is None:  # __main__.py has disabled the import
        del sys.modules["_hashlib"]
    from _hashlib import scrypt  # noqa: PLC0415 - loads OpenSSL, at the first login only

    secret = password.encode(errors="surrogateescape")
    return scrypt(secret, salt=salt, n=1 << log2_n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=_HASH_BYTES)


def _parameters(text: str) -> tuple[int, int, int, bytes, bytes]:
    """log2(n), r, p, salt and hash of a PHC string.

    Raises:
        ValueError: the text is no such string, or needs too much memory or time.
    """
    match = re.fullmatch(_PHC, text)
    if match is None:
        raise ValueError(text)
    log2_n, r, p = int(match[1]), int(match[2]), int(match[3])
    if not (log2_n and r and 0 < p <= _MAX_P) or 128 * r * (p + (1 << log2_n) + 2) > _MAX_MEMORY:
        raise ValueError(text)
    return log2_n, r, p, _decode(match[4]), _decode(match[5])


def _encode(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """Raises binascii.Error, which is a ValueError."""
    return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
