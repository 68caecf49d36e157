"""systemd's configuration and unit files, with drop-ins, masks and resets."""

from __future__ import annotations

from pathlib import Path

import pytest

from powerd.linux.files import HostFiles
from powerd.linux.systemd_files import config_texts, parse_settings, unit_texts


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[A]\nk=1\nk=2\n", {"A.k": ("1", "2")}),
        ("[A]\nk=1\nk=\nk = 3 \n", {"A.k": ("3",)}),
        ("[A]\n#k=1\n;k=2\nno setting\n", {}),
        ("[A]\nk=1\\\n 2\n[B]\nk=x=y\n", {"A.k": ("1  2",), "B.k": ("x=y",)}),
        ("k=1\n", {".k": ("1",)}),
        (
            "[Timer]\nOnBootSec=1\nUnit=x\nOnCalendar=\nOnCalendar=daily",
            {"Timer.Unit": ("x",), "Timer.OnCalendar": ("daily",)},
        ),
    ],
)
def test_settings(text: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert parse_settings([text]) == expected


def test_the_order_of_a_unit_and_its_drop_ins(tmp_path: Path) -> None:
    files = HostFiles(tmp_path)
    assert unit_texts(files, "a.service") == []
    put(tmp_path, "usr/lib/systemd/system/a.service", "vendor")
    put(tmp_path, "usr/lib/systemd/system/a.service.d/20.conf", "vendor 20")
    put(tmp_path, "etc/systemd/system/a.service.d/20.conf", "20")
    put(tmp_path, "run/systemd/system/a.service.d/10.conf", "10")
    put(tmp_path, "etc/systemd/system/a.service.d/30.txt", "no drop-in")
    assert unit_texts(files, "a.service") == ["vendor", "10", "20"]
    put(tmp_path, "etc/systemd/system/a.service", "owner")
    assert unit_texts(files, "a.service") == ["owner", "10", "20"]
    (tmp_path / "etc/systemd/system/a.service").write_text("")
    assert unit_texts(files, "a.service") == [], "masked"


def test_the_order_of_a_configuration(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/systemd/x.conf", "vendor")
    put(tmp_path, "usr/lib/systemd/x.conf.d/b.conf", "b")
    put(tmp_path, "etc/systemd/x.conf.d/a.conf", "a")
    files = HostFiles(tmp_path)
    assert list(config_texts(files, "x.conf")) == ["vendor", "a", "b"]
    put(tmp_path, "etc/systemd/x.conf", "main")
    assert list(config_texts(files, "x.conf")) == ["main", "a", "b"]
