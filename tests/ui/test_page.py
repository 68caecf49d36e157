"""The page: well-formed, escaped, telling what the command line tells."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from facts import new_snapshot
from ui.statuses import (
    NOW,
    STATUSES,
    clients_unavailable,
    decision,
    family,
    idle,
    many_clients,
    status,
    with_wake_alarm,
)
from ui.wake_statuses import WAKE_STATUSES, woken

from powerd.core.snapshot import Reason, Status
from powerd.core.time import Unavailable
from powerd.power.model import LOGIND
from powerd.ui.api import accesses_json, clients_json, status_json, wakes_json
from powerd.ui.page import REFRESH_SECONDS, STARTING_REFRESH_SECONDS, STYLE, render_page
from powerd.ui.status import alarm_sentence, next_sentence

VOID = {"meta"}


class PageText(HTMLParser):
    """Takes a page apart; an unbalanced tag is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def read(given: Status | None, trouble: str | None = None) -> PageText:
    return PageText(page(given, trouble))


def page(given: Status | None, trouble: str | None = None) -> str:
    return render_page(
        status_json(given, NOW, trouble),
        clients_json(given, NOW),
        (),
        wakes_json(given, NOW) or (),
        accesses_json(given, NOW) or (),
    )


@pytest.mark.parametrize("name", [*STATUSES, *WAKE_STATUSES])
def test_every_page_is_well_formed_and_fetches_and_runs_nothing(name: str) -> None:
    found = read({**STATUSES, **WAKE_STATUSES}[name])
    assert not {"script", "img", "link", "iframe", "form", "object"} & set(found.tags)
    links = [
        value for key, value in found.attributes if key in {"src", "href", "style"} or key.startswith("on")
    ]
    paths = ("status", "clients", "activity", "disks", "wakes", "smart")
    assert links == [f"/api/{name}" for name in paths]
    assert found.tags.count("h1") == 1


@pytest.mark.parametrize("given", [STATUSES["evil"], WAKE_STATUSES["evil wakes"]], ids=["clients", "wakes"])
def test_hostile_text_is_escaped_and_steers_nothing(given: Status) -> None:
    text = page(given)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert all(line.isprintable() for line in text.split("\n"))


def test_one_sentence_describes_what_happens_next() -> None:
    for given, state in ((idle(), "Idle"), (family(), "Awake")):
        sentence = next_sentence(status_json(given, NOW))
        assert f"{state}: {sentence[0].lower()}{sentence[1:]}" in read(given).text
        assert "Observe mode" in read(given).text


def test_it_reports_when_the_server_is_woken_and_each_warning_once() -> None:
    text = read(STATUSES["alarmed"]).text
    given = with_wake_alarm()
    assert alarm_sentence(status_json(given, NOW)) in text
    (warning,) = (reason.text for reason in given.decision.reasons if not reason.blocks_sleep)
    assert text.count(warning) == 1


def test_it_reports_reasons_clients_and_warnings() -> None:
    text = read(family()).text
    for argument in (
        "is home: answers ping",
        "since 20:58",
        "Remarks",
        "Warnings",
        "3 entries skipped",
        "10.9.0.5 · hosts",
        "ICMP 0.4 ms",
        "12 s ago",
    ):
        assert argument in text
    assert 'ignore = ["02:00:00:00:00:0b"] # kitchen-bulb' in text
    assert "ignored; answers ping" in text


def test_it_reports_who_wakes_and_uses_the_disks() -> None:
    text = read(woken()).text
    for argument in (
        "24 times a day",
        "container web",
        "/var/spool/cron/crontabs",
        "jellyfin.service, 3 reads/min",
    ):
        assert argument in text
    assert "counters" in read(WAKE_STATUSES["counters only"]).text
    for name, shown in (("not woken", True), ("no disk", False)):
        assert ("Who wakes the disks" in read(WAKE_STATUSES[name]).text) is shown


def test_a_failure_is_an_alert() -> None:
    found = read(clients_unavailable(), "the last decision is 5 min old")
    assert ("role", "alert") in found.attributes
    assert "Error: the last decision is 5 min old" in found.text
    assert found.text.count("cannot open a raw socket") == 1, "told once, not for each client"


def test_a_failed_source_that_is_no_reason_is_a_warning() -> None:
    snapshot = new_snapshot(sources={LOGIND: Unavailable(NOW.mono, "no bus")})
    assert "unavailable: no bus" in read(status(decision(), snapshot)).text


def test_a_network_with_many_clients() -> None:
    assert read(many_clients(200)).tags.count("tr") == 201


def test_it_renews_itself() -> None:
    assert ("content", str(REFRESH_SECONDS)) in read(family()).attributes
    assert ("content", str(STARTING_REFRESH_SECONDS)) in read(None).attributes


def test_the_style_is_in_the_page_as_it_is_hashed() -> None:
    assert f"<style>{STYLE}</style>" in render_page(status_json(None, NOW), [])


def test_a_server_that_never_sleeps_is_shown_as_awake_once() -> None:
    rule = Reason("sleep", "no rule", NOW, blocks_sleep=False)
    text = render_page(status_json(status(decision("awake", (rule,))), NOW, None), [])
    assert f"<h1>Awake: {rule.text}.</h1>" in text
