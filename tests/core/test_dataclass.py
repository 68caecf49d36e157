from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import powerd
from powerd.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Drive:
    name: str
    hours: int = 0
    secret: str = dataclasses.field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Array(Drive):
    members: tuple[Drive, ...] = ()


def test_a_frozen_class_behaves_like_a_standard_one() -> None:
    array = Array("md0", 7, "key", (Drive("sda"),))
    assert repr(array) == "Array(name='md0', hours=7, members=(Drive(name='sda', hours=0),))"
    assert dataclasses.replace(array, secret="") == array
    assert hash(array) == hash(Array("md0", 7, "", (Drive("sda"),)))
    assert not hasattr(array, "__dict__")


def test_all_frozen_classes_share_their_methods() -> None:
    """Outside the simulation, which no server imports."""
    root = Path(powerd.__file__).parent
    standard = [
        path.relative_to(root)
        for path in root.rglob("*.py")
        if "simulation" not in path.parts
        and "@dataclass(frozen=True" in (text := path.read_text())
        and re.search(r"^from dataclasses import .*\bdataclass\b", text, re.MULTILINE)
    ]
    assert standard == []
