"""The table of disk states, read column by column."""

from __future__ import annotations

import pytest

from powerd.disks.state import DiskState

TRAITS = {
    "is_stopped": "standby sleeping suspended",
    "stops_on_command": "spinning-down standby sleeping",
    "io_starts": "unknown standby sleeping",
    "needs_answer": "spinning-down hung",
    "survives_resume": "hung unsupported",
    "tolerates_writes": "active unsupported excluded",
    "can_spin_down": "unknown active spinning-down standby sleeping",
}


@pytest.mark.parametrize("trait", TRAITS)
def test_the_states_with_a_trait(trait: str) -> None:
    assert {state.value for state in DiskState if getattr(state, trait)} == set(TRAITS[trait].split())


@pytest.mark.parametrize("state", DiskState)
def test_a_state_is_its_value(state: DiskState) -> None:
    assert DiskState(state.value) is state
    assert f"{state}" == state.value
