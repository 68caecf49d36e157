from __future__ import annotations

import json
import subprocess
import sys

import pytest
from helper.smart.smartctl_drives import DRIVES

from powerd.core.codec import decode
from powerd.smart.model import Health

pytestmark = pytest.mark.process


def child(document: bytes) -> tuple[int, dict[str, object], bytes]:
    end = subprocess.run(
        [sys.executable, "-I", "-m", "powerd.helper.smart.reader"],
        input=document,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return end.returncode, json.loads(end.stdout), end.stderr


def test_a_health_in_one_line() -> None:
    status, answer, error = child(DRIVES["seagate"].document())
    assert (status, error) == (0, b"")
    assert decode(Health, answer["health"]).protocol == "ata"


def test_why_there_is_none() -> None:
    status, answer, error = child(b"no JSON")
    assert (status, answer, error) == (1, {"error": "smartctl's output is incomplete"}, b"")


def test_an_endless_answer_is_cut_off() -> None:
    status, answer, _ = child(b"[" + b"0," * (1 << 20))
    assert (status, answer) == (1, {"error": "smartctl's output is incomplete"})
