from __future__ import annotations

import json

from ui.statuses import HOSTILE_NAME, NOW, at

from powerd.ui.http.event_feed import BACKLOG_SIZE, EventFeed, format_event
from powerd.ui.journal import make_entry


def drained(feed: EventFeed, after: int | None) -> list[str]:
    with feed.subscribe(after, lambda: None) as events:
        return [events.get_nowait() for _ in range(events.qsize())]


def parsed(text: str) -> dict[str, str]:
    assert text.endswith("\n\n")
    return dict(line.split(": ", 1) for line in text.rstrip("\n").split("\n"))


def publish(feed: EventFeed, message: str = "awake: tv: home") -> None:
    feed.publish(make_entry("phase", message, subject="tv", reason="home"), NOW)


def test_an_event_is_a_journal_entry() -> None:
    feed = EventFeed()
    with feed.subscribe(None, lambda: None) as events:
        publish(feed)
        event = parsed(events.get_nowait())
    assert event["event"] == "phase"
    assert json.loads(event["data"]) == {
        "at": "2026-01-12T21:16:00+01:00",
        "message": "awake: tv: home",
        "priority": 6,
        "subject": "tv",
        "reason": "home",
    }


def test_a_new_listener_gets_new_events_and_a_returning_one_the_missed_events() -> None:
    feed = EventFeed()
    publish(feed, "one")
    first = int(parsed(drained(feed, 0)[0])["id"])
    publish(feed, "two")
    assert drained(feed, None) == []
    assert [parsed(text)["id"] for text in drained(feed, first)] == [str(first + 1)]
    assert len(drained(feed, first + 1)) == 0


def test_ids_grow_over_a_restart() -> None:
    before, after = EventFeed(), EventFeed()
    for _ in range(20):
        publish(before)
    after.publish(make_entry("phase", "awake"), at(1))
    assert int(parsed(drained(after, 0)[0])["id"]) > int(parsed(drained(before, 0)[-1])["id"])


def test_only_the_last_are_retained() -> None:
    feed = EventFeed()
    for _ in range(BACKLOG_SIZE + 5):
        publish(feed)
    assert len(drained(feed, 0)) == BACKLOG_SIZE


def test_one_who_does_not_read_is_cut_off_and_the_others_go_on() -> None:
    feed, cut = EventFeed(), list[str]()
    with (
        feed.subscribe(None, lambda: cut.append("slow")),
        feed.subscribe(None, lambda: cut.append("quick")) as quick,
    ):
        for _ in range(1000):
            publish(feed)
            quick.get_nowait()
    assert cut == ["slow"]


def test_hostile_text_ends_no_event_early() -> None:
    text = format_event("client", {"message": HOSTILE_NAME + "\n\nevent: owned\n\n"})
    assert text.count("\n") == 3
    assert parsed(text)["event"] == "client"


def test_a_change_of_the_page_is_sent_once_and_not_stored() -> None:
    feed = EventFeed()
    feed.publish_change("before")
    with feed.subscribe(0, lambda: None) as events:
        for shown in ("before", "after", "after"):
            feed.publish_change(shown)
        assert [events.get_nowait() for _ in range(events.qsize())] == ["event: changed\ndata: {}\n\n"]
    assert drained(feed, 0) == []
