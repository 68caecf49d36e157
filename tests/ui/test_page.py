"""The page: well-formed, escaped, with the content of the command line."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import Literal

import pytest
from facts import new_snapshot
from ui.page_statuses import many_clients_and_disks
from ui.smart_statuses import smart_status
from ui.statuses import (
    NOW,
    STATUSES,
    at,
    clients_unavailable,
    decision,
    family,
    idle,
    many_clients,
    status,
    with_wake_alarm,
)
from ui.wake_statuses import SDA, SDB, WAKE_STATUSES, woken
from ui.week import week

from powerd.attribution.view.api import accesses_json, wakes_json
from powerd.config.load import parse
from powerd.core.snapshot import Reason, Status
from powerd.core.time import Unavailable
from powerd.disks.state import DisksReport
from powerd.history.view.api import history_json, timeline_json
from powerd.power.model import LOGIND
from powerd.requests.model import UNREADABLE
from powerd.smart.view.api import smart_details
from powerd.ui.api import clients_json, status_json
from powerd.ui.html import STYLE, PageContext
from powerd.ui.page import REFRESH_SECONDS, SCRIPT, STARTING_REFRESH_SECONDS, render_page
from powerd.ui.schema import ClientJson, KeepAwakeJson, SleepRequestJson, StatusJson
from powerd.ui.status import alarm_sentence, next_sentence

VOID = {"meta", "link", "input"}


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
        if self._open and self._open[-1] not in {"style", "script"}:
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
def test_every_page_is_well_formed_and_fetches_nothing(name: str) -> None:
    found = read({**STATUSES, **WAKE_STATUSES}[name])
    assert not {"img", "iframe", "form", "object"} & set(found.tags)
    assert found.tags.count("script") == 1
    assert found.tags.count("h1") == 1
    links = [
        value for key, value in found.attributes if key in {"src", "href", "style"} or key.startswith("on")
    ]
    paths = ("status", "clients", "activity", "disks", "wakes", "history", "smart")
    assert links[1:] == [f"/api/{name}" for name in paths]
    assert str(links[0]).startswith("data:image/svg+xml,")
    ids = [value for key, value in found.attributes if key == "id"]
    assert len(ids) == len(set(ids)) or name.startswith("evil")


@pytest.mark.parametrize("given", [STATUSES["evil"], WAKE_STATUSES["evil wakes"]], ids=["clients", "wakes"])
def test_hostile_text_is_escaped_and_steers_nothing(given: Status) -> None:
    text = page(given)
    assert text.count("<script") == 1
    assert "&lt;script&gt;" in text
    assert all(line.isprintable() for line in text.split("\n"))


def test_one_sentence_describes_what_happens_next() -> None:
    for given, state in ((idle(), "Idle"), (family(), "Awake")):
        assert f"{state} {next_sentence(status_json(given, NOW), time_left=False)}" in read(given).text
        assert "observe mode" in read(given).text


def test_a_countdown_is_there_without_the_script() -> None:
    given = status_json(STATUSES["warning"], NOW)
    found = PageText(render_page(given, []))
    assert ("data-until", given["decision"]["at_earliest"]) in found.attributes
    assert "in 45 s" in found.text


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
        "workshop.lan 10.9.0.5 may be here",
        "Known from hosts",
        "ICMP 0.4 ms",
        "seen 21:15",
    ):
        assert argument in text
    assert 'ignore = ["02:00:00:00:00:0b"] # kitchen-bulb' in text
    assert "printer 10.0.0.13 ignored, present" in text


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
        assert ("What wakes the disks" in read(WAKE_STATUSES[name]).text) is shown


def test_a_failure_is_an_alert() -> None:
    found = read(clients_unavailable(), "decision late")
    assert ("role", "alert") in found.attributes
    assert "Error: decision late" in found.text
    assert found.text.count("cannot open a raw socket") == 1, "shown once, not for each client"


def test_a_failed_source_that_is_no_reason_is_a_warning() -> None:
    snapshot = new_snapshot(sources={LOGIND: Unavailable(NOW.mono, "no bus")})
    assert "unavailable: no bus" in read(status(decision(), snapshot)).text


def test_clients_of_one_state_are_one_row_that_opens() -> None:
    found = read(many_clients(200))
    assert "66 clients absent" in found.text
    assert found.tags.count("li") == 201, "who dozes or is present is a row"
    unavailable = read(clients_unavailable())
    assert "30 clients" in unavailable.text


def test_reasons_that_subjects_share_are_one() -> None:
    many = tuple(Reason(f"host-{n}", "may be home: silent", at(-n)) for n in range(15))
    text = read(status(decision("awake", many))).text
    assert text.count("may be home: silent") == 1
    assert "host-0, host-1, host-2 and 12 more" in text
    assert "Show all 15" in text
    assert "host-14" in text


def test_without_a_session_it_says_what_the_controls_need() -> None:
    assert "set http.token_file" in read(family()).text
    login = PageContext(login_url="/login")
    given = status_json(family(), NOW)
    text = render_page(given, clients_json(family(), NOW), page=login)
    assert '<form method="post" action="/login">' in text
    assert "<button" not in text.partition("Log in</button>")[2]


def test_controls_are_forms_with_the_token_of_the_session() -> None:
    writer = PageContext(csrf="c<srf", base="/nas/", may_write=True)
    given = replace_keeps(status_json(idle(), NOW))
    text = str(render_page(given, clients_json(idle(), NOW), page=writer))
    forms = [form.partition("</form>")[0] for form in text.split('<form method="post" action="')[1:]]
    assert {form.partition('"')[0] for form in forms} == {
        "/nas/api/keep",
        "/nas/api/keep/k%2F1/delete",
        "/nas/api/logout",
        "/nas/api/sleep",
        "/nas/api/wake",
    }
    assert all('name="csrf" value="c&lt;srf"' in form for form in forms)


def replace_keeps(given: StatusJson) -> StatusJson:
    keep: KeepAwakeJson = {
        "id": "k/1",
        "because": "backup",
        "since": given["now"],
        "until": given["now"],
        "not_stored": None,
    }
    return {**given, "keep_awake": [keep]}


def test_a_hold_has_no_button_because_it_ends_with_its_command_only() -> None:
    given = replace_keeps(status_json(family(), NOW))
    (keep,) = given["keep_awake"]
    for id_, is_hold in (("h1", True), (UNREADABLE, False)):
        keep |= {"id": id_, "until": None}
        text = render_page(given, [], page=PageContext(may_write=True))
        assert (f"/keep/{id_}" in text) is not is_hold


def test_it_renews_itself() -> None:
    assert ("content", str(REFRESH_SECONDS)) in read(family()).attributes
    assert ("content", str(STARTING_REFRESH_SECONDS)) in read(None).attributes


def test_style_and_script_are_in_the_page_as_the_policy_requires() -> None:
    text = render_page(status_json(None, NOW), [], page=PageContext(nonce="n0nce", notice="Done <b>."))
    assert f"<style>{STYLE}</style>" in text
    assert f'<script nonce="n0nce">{SCRIPT}</script>' in text
    assert '<p id="message" role="status">Done &lt;b&gt;.</p>' in text


def test_a_server_that_never_sleeps_is_shown_as_awake_once() -> None:
    rule = Reason("sleep", "no rule", NOW, blocks_sleep=False)
    found = read(status(decision("awake", (rule,))))
    assert f"Awake {rule.text.capitalize()}." in found.text


def test_in_observe_mode_idle_does_not_contradict_what_would_have_been_done() -> None:
    assert "would be asleep now" in read(status(decision("idle"))).text
    assert "No sleep is planned" in read(status(decision("idle"), mode="enforce")).text


def test_alarms_come_first_in_the_title_and_on_the_page() -> None:
    given = status_json(smart_status(), NOW)
    drive = next(each for each in given["alarms"] if each["severity"] == "alarm")
    writer = PageContext(may_write=True)
    found = PageText(render_page(given, [], page=writer))
    title, _, rest = found.text.partition(" - awake")
    assert title == f"Alarm: {drive['subject']}"
    assert rest.index(drive["text"]) < rest.index("Awake")
    assert f"/api/smart/{drive['id'].removeprefix('drive ')}/acknowledge" in [
        value for _, value in found.attributes
    ]
    calm = PageText(render_page({**given, "alarms": []}, []))
    assert calm.text.startswith("awake - powerd")
    assert "alert" not in [value for key, value in calm.attributes if key == "role"]


@pytest.mark.parametrize(("over_clients", "other"), [(True, 0), (False, 1)])
def test_a_requested_sleep_can_be_called_off_and_no_longer_wait_for_clients(
    over_clients: bool,  # noqa: FBT001 - a parameter
    other: int,
) -> None:
    given = status_json(family(), NOW)
    request: SleepRequestJson = {"now": over_clients, "since": given["now"], "until": given["now"]}
    text = render_page({**given, "sleep_request": request}, [], page=PageContext(may_write=True))
    assert 'action="/api/sleep/delete"' in text
    assert text.count('action="/api/sleep"') == other
    assert "anna-phone, kitchen-bulb, workshop.lan" in text


@pytest.mark.parametrize(
    ("given", "offered"),
    [(family(), True), (status(decision("awake", (Reason("sleep", "no rule", NOW, False),))), False)],  # noqa: FBT003 - it does not block
    ids=["rules", "no rule"],
)
def test_only_what_is_not_refused_is_offered(given: Status, offered: bool) -> None:  # noqa: FBT001 - a parameter
    text = render_page(status_json(given, NOW), [], page=PageContext(may_write=True))
    assert ('action="/api/sleep"' in text) is offered


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_a_disk_has_the_buttons_of_its_state(mode: Literal["observe", "enforce"]) -> None:
    given = replace(many_clients_and_disks(), mode=mode)
    text = render_page(status_json(given, NOW), [], smart_details(given), page=PageContext(may_write=True))
    assert f"/api/smart/{SDA}/check" in text
    assert (f"/api/disks/{SDA}/standby" in text) is (mode == "enforce")
    assert f"/api/smart/{SDB}/acknowledge" in text
    assert not {f"/api/smart/{SDB}/check", f"/api/smart/{SDB}/test", f"/api/disks/{SDB}/standby"} & set(
        re.findall('action="(.*?)"', text)
    )


def test_a_page_with_twenty_clients_and_eight_disks_is_small() -> None:
    given = many_clients_and_disks()
    record = week(given.decision.part(DisksReport).disks[0].disk.id)
    writer = PageContext(csrf="0" * 128, nonce="0" * 32, may_write=True)
    text = render_page(
        status_json(given, NOW),
        clients_json(given, NOW),
        smart_details(given),
        wakes_json(given, NOW) or (),
        timeline=timeline_json(record, NOW.wall.tzinfo),
        history=history_json(record, NOW.wall.tzinfo),
        page=writer,
        zone=NOW.wall.tzinfo,
    )
    assert text.count('id="client-') == 20
    assert text.count('id="disk-') == 8
    assert text.count('class="strip"') == 8
    assert re.search(r"7 spin-downs, 7 wakes.*cron\.service \(7\)", text)
    assert len(text.encode()) < 65_000
    assert len(gzip.compress(text.encode(), 6)) < 15_000


def test_the_lines_to_paste_are_a_valid_configuration_and_fit_the_client() -> None:
    for name, count in (("anna-phone", 1), ('odd "name"', 1), (None, 1), ("iphone", 2), ("Ännäs 📱", 1)):
        rows: list[ClientJson] = [{**clients_json(family(), NOW)[0], "name": name}] * count
        text = unescape(render_page(status_json(family(), NOW), rows))
        blocks = [block.partition("</pre>")[0] for block in text.split('<pre tabindex="0">')[1:]]
        options = parse("\n".join(blocks[:2]).encode(), "page")
        (pattern,), (row,) = options.clients.ignore, options.clients.name
        assert pattern == row.match
        assert "\\u" not in text.partition("[[clients.name]]")[2].partition("</pre>")[0], "it is readable"
        assert row.name == (name or "living room TV")
        assert str(pattern) == rows[0]["mac" if count == 1 else "address"], "names are chosen by clients"
