from __future__ import annotations

import asyncio

import pytest
from scripted import Hands

from powerd import actuators
from powerd.model import Done, Order, Sleep, Warn

ORDERS: list[tuple[Order, str]] = [
    (Sleep(0, "suspend"), "suspended"),
    (Sleep(0, "hibernate"), "hibernated"),
    (Sleep(0, "hybrid-sleep"), "gone to hybrid sleep"),
    (Sleep(0, "suspend-then-hibernate"), "suspended, to hibernate later"),
    (Sleep(0, "poweroff"), "powered off"),
    (Sleep(0, "command", ("/bin/good night", "-q")), "run '/bin/good night' -q"),
    (
        Warn(0, "poweroff", 90.0),
        "announced: this server powers off in 1min30s unless somebody needs it (`powerd why`)",
    ),
]


class Way:
    """An easy one."""

    async def set_out(self, order: Sleep) -> None:
        del order

    async def turn_back(self) -> None:
        pass


@pytest.mark.parametrize(("order", "text"), ORDERS)
def test_in_observe_mode_no_hand_is_touched(order: Order, text: str) -> None:
    hands = Hands()
    assert asyncio.run(actuators.obey(order, hands, "observe", Way())) == Done(True, f"would have {text}")
    assert hands.calls == []


@pytest.mark.parametrize("order", [order for order, _ in ORDERS])
def test_in_enforce_mode_one_hand_is_used_once(order: Order) -> None:
    hands = Hands()
    ok, observed, *_ = asyncio.run(actuators.obey(order, hands, "enforce", Way()))
    assert ok
    assert "would" not in observed
    assert len(hands.calls) == 1


@pytest.mark.parametrize("order", [order for order, _ in ORDERS])
def test_what_the_machine_refuses_is_said_in_its_words(order: Order) -> None:
    hands = Hands(refusal="backup (pid 7) blocks it: nightly backup")
    assert asyncio.run(actuators.obey(order, hands, "enforce", Way())) == Done(
        False, "backup (pid 7) blocks it: nightly backup"
    )
    assert len(hands.calls) == 1, "whether to try again is not an actuator's to say"
