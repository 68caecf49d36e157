"""The output of ``powerd clients``."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest
from ui.statuses import (
    NOW,
    STATUSES,
    client,
    client_status,
    clients_unavailable,
    decision,
    many_clients,
    status,
)

from powerd.config.values import parse_client_pattern
from powerd.core.snapshot import Status
from powerd.presence.model import ClientState, ClientStatus, PresenceReport
from powerd.presence.view import clients_text
from powerd.ui.api import clients_json, status_json
from powerd.ui.layout import width


def lines_of(given: Status | None) -> str:
    return clients_text(clients_json(given, NOW), status_json(given, NOW))


@pytest.mark.parametrize("name", STATUSES)
def test_every_line_fits_and_has_no_control_characters(name: str, columns: int) -> None:
    for line in lines_of(STATUSES[name]).splitlines():
        assert width(line) <= columns or "]  # " in line, "but for what is to be copied"
        assert line.isprintable()


def test_no_clients() -> None:
    assert "No client" in lines_of(None)


def test_a_failed_source_is_shown_once_not_for_each_client() -> None:
    text = lines_of(clients_unavailable())
    assert text.count("cannot open a raw socket") == 1
    assert "Unavailable:\n  clients: cannot open" in text


def test_unknown_clients_with_one_reason_share_a_line() -> None:
    rows = tuple(
        client_status(client(n, f"host-{n}"), ClientState.UNKNOWN, "no route") for n in range(10, 20)
    )
    given = status(decision(client_statuses=rows))
    assert "host-10, host-11, host-12 and 7 more: no route" in lines_of(given)


def test_long_names_are_cut_and_all_clients_are_listed() -> None:
    given = many_clients(200)
    lines = clients_text(clients_json(given, NOW), status_json(given, NOW), every=True).splitlines()
    rows = [line for line in lines if line.startswith("a-host-with") and "10.0." in line]
    assert len(rows) == 200
    assert all("…" in row for row in rows)


def test_many_clients_that_are_not_there_share_a_line() -> None:
    lines = lines_of(many_clients(30)).splitlines()
    rows = [line for line in lines if "10.0." in line]
    assert len(rows) == sum(
        each.state.value in {"present", "dozing"} for each in statuses_of(many_clients(30))
    )
    assert any("`powerd clients --all`" in line for line in lines)


def statuses_of(given: Status) -> tuple[ClientStatus, ...]:
    return given.decision.part(PresenceReport).client_statuses


def test_the_class_of_a_client_is_shown() -> None:
    row = replace(client_status(client(9, "anna")), class_name="phone")
    header, line = lines_of(status(decision(client_statuses=(row,)))).splitlines()[:2]
    assert line[header.index("CLASS") :].startswith("phone")
    assert line.endswith("dhcpd.leases")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_ignore_line_is_valid_toml_that_matches_those_clients(count: int) -> None:
    bulbs = [
        replace(client_status(client(n, f"bulb-{n}\n\x1b[31m\u2028")), always_on=True) for n in range(count)
    ]
    text = lines_of(status(decision(client_statuses=tuple(bulbs))))
    config = tomllib.loads(text[text.index("    ignore = ") :])
    assert [
        parse_client_pattern(text).matches((), each.client.mac, None)
        for text, each in zip(config["ignore"], bulbs, strict=True)
    ]
    assert config["ignore"] == [each.client.mac for each in bulbs]


def test_a_stale_client_is_marked() -> None:
    row = client_status(replace(client(9, "tv"), stale=True))
    assert "dhcpd.leases (stale)" in lines_of(status(decision(client_statuses=(row,))))


def test_makers_have_a_column_and_names_keep_theirs() -> None:
    rows = tuple(
        client_status(
            replace(client(n, f"a-name-that-is-long-{n}"), maker="Samsung Electronics Co.,Ltd"),
            ClientState.UNKNOWN,
        )
        for n in (110, 111)
    )
    lines = lines_of(status(decision(client_statuses=rows))).splitlines()
    assert lines[0].split()[-1] == "MAKER"
    assert "Known from dhcpd.leases: a-name" in "\n".join(lines), "which does not fit beside it"
    assert lines[1].startswith("a-name-that-i")
    assert "Samsun" in lines[1]
    assert max(map(width, lines)) <= 80
