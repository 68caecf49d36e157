from __future__ import annotations

import asyncio

import pytest
from scripted import Hands

from powerd.actuators import warn
from powerd.model import Action, Warn


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("suspend", "goes to sleep"),
        ("suspend-then-hibernate", "goes to sleep"),
        ("poweroff", "powers off"),
        ("command", "runs its sleep command"),
    ],
)
def test_people_read_what_is_coming_when_and_what_to_do(action: Action, what: str) -> None:
    hands = Hands()
    text = f"this server {what} in 1min unless somebody needs it (`powerd why`)"
    assert asyncio.run(warn.obey(Warn(0, action, 60.0), hands)) == (True, f"announced: {text}")
    assert hands.calls == [("broadcast", text)]
