from __future__ import annotations

import os
from pathlib import Path

import pytest

from powerd.config.load import ConfigError, load, read_token

SECRET = "0123456789abcdef"  # noqa: S105 - of these tests alone


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o640)
    return path


def test_a_token_is_the_only_text_in_its_file(file: Path) -> None:
    assert read_token(str(file)) == SECRET


@pytest.mark.parametrize("mode", [0o644, 0o642, 0o666])
def test_what_everybody_can_read_is_no_secret(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ValueError, match=rf"everybody .*{file}; .*chmod o-rwx"):
        read_token(str(file))


@pytest.mark.parametrize(
    "text", ["", "short", "two words of some length", "ü" * 20, "a" * 15, "tab\tin the middle"]
)
def test_what_is_no_token_is_reported_and_not_shown(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ValueError, match="16 or more") as caught:
        read_token(str(file))
    assert not text or text not in str(caught.value)


def test_what_is_no_file_is_reported_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="regular file"):
        read_token(str(tmp_path / "fifo"))
    with pytest.raises(ValueError, match="does not exist"):
        read_token(str(tmp_path / "none"))
    with pytest.raises(ValueError, match=r"regular file|Is a directory"):
        read_token(str(tmp_path))


def test_a_configuration_with_a_bad_token_is_at_fault(file: Path, tmp_path: Path) -> None:
    config = tmp_path / "powerd.toml"
    config.write_text(f'[http]\ntoken_file = "{file}"\n')
    assert load(config).http.token_file == str(file)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=rf"^{config}:2: http\.token_file: everybody"):
        load(config)
    config.write_text('[http]\ntoken_file = "token"\n')
    with pytest.raises(ConfigError, match="absolute path"):
        load(config)


def test_a_token_of_root_s_alone_is_reported_with_the_remedy(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> int:  # root, who runs this, may read everything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", closed)
    with pytest.raises(ValueError, match=f"permission denied; .*: chgrp powerd {file}; chmod 640 {file}$"):
        read_token(str(file))
