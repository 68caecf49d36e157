"""The stored hash of the password: what is read, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import pytest

from powerd.config.password import is_password, read_password_hash


def phc(password: str, ln: int = 4, r: int = 8, p: int = 1) -> str:
    """As in the PHC specification, by another hand; cheap."""
    digest = hashlib.scrypt(password.encode(), salt=b"NaClNaClNaClNaCl", n=1 << ln, r=r, p=p, dklen=32)
    salt, text = (base64.b64encode(each).decode().rstrip("=") for each in (b"NaClNaClNaClNaCl", digest))
    return f"$scrypt$ln={ln},r={r},p={p}${salt}${text}"


RIGHT = "correct"


@pytest.mark.parametrize("password", ["correct", "größe\udcff", "", "x" * 1024])
def test_only_the_password_matches(password: str) -> None:
    stored = phc(RIGHT)
    assert is_password(password, stored) is (password == RIGHT)
    assert not is_password(password, stored[:-1])
    assert not is_password(password, "")


def test_openssl_is_loaded_where_its_import_was_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_hashlib", None)
    assert is_password(RIGHT, phc(RIGHT))


HASH = phc(RIGHT)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (HASH, None),
        (f"\n{HASH}\r\n", None),
        ("", "no hash"),
        ("correct", "no hash"),
        (HASH.replace("scrypt", "argon2id"), "no hash"),
        (HASH.replace("ln=4", "ln=0"), "no hash"),
        (HASH.replace("ln=4", "ln=40"), "no hash"),
        (HASH.replace("p=1", "p=99"), "no hash"),
        (HASH.replace("r=8", "r=0"), "no hash"),
        (HASH.replace("$TmFD", "$*mFD"), "no hash"),
        (HASH + "x", "no hash"),
        ("\0" * 100, "no hash"),
        ("x" * 5000, "more than"),
    ],
)
def test_a_file_is_read_or_refused_with_the_remedy(tmp_path: Path, content: str, text: str | None) -> None:
    file = tmp_path / "password"
    file.write_text(content)
    file.chmod(0o640)
    if text is None:
        assert read_password_hash(str(file)) == HASH
    else:
        with pytest.raises(ValueError, match=text) as error:
            read_password_hash(str(file))
        assert "run: powerd password" in str(error.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(HASH)
    file.chmod(0o644)
    with pytest.raises(ValueError, match="chmod o-rwx"):
        read_password_hash(str(file))
    with pytest.raises(ValueError, match="run: powerd password"):
        read_password_hash(str(tmp_path / "none"))
