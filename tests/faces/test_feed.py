from __future__ import annotations

import json

from faces.house import EVIL, NOW, at

from powerd.faces.feed import KEPT, Feed, event_text
from powerd.faces.journal import entry


def drained(feed: Feed, after: int | None) -> list[str]:
    with feed.listen(after, lambda: None) as events:
        return [events.get_nowait() for _ in range(events.qsize())]


def parsed(text: str) -> dict[str, str]:
    assert text.endswith("\n\n")
    return dict(line.split(": ", 1) for line in text.rstrip("\n").split("\n"))


def publish(feed: Feed, message: str = "awake: tv: home") -> None:
    feed.publish(entry("phase", message, subject="tv", reason="home"), NOW)


def test_an_event_is_a_journal_entry() -> None:
    feed = Feed()
    with feed.listen(None, lambda: None) as events:
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


def test_who_listens_anew_hears_what_comes_and_who_comes_back_what_was_missed() -> None:
    feed = Feed()
    publish(feed, "one")
    first = int(parsed(drained(feed, 0)[0])["id"])
    publish(feed, "two")
    assert drained(feed, None) == []
    assert [parsed(text)["id"] for text in drained(feed, first)] == [str(first + 1)]
    assert len(drained(feed, first + 1)) == 0


def test_ids_grow_over_a_restart() -> None:
    before, after = Feed(), Feed()
    for _ in range(20):
        publish(before)
    after.publish(entry("phase", "awake"), at(1))
    assert int(parsed(drained(after, 0)[0])["id"]) > int(parsed(drained(before, 0)[-1])["id"])


def test_only_the_last_are_kept() -> None:
    feed = Feed()
    for _ in range(KEPT + 5):
        publish(feed)
    assert len(drained(feed, 0)) == KEPT


def test_one_who_does_not_read_is_cut_off_and_the_others_go_on() -> None:
    feed, cut = Feed(), list[str]()
    with (
        feed.listen(None, lambda: cut.append("slow")),
        feed.listen(None, lambda: cut.append("quick")) as quick,
    ):
        for _ in range(1000):
            publish(feed)
            quick.get_nowait()
    assert cut == ["slow"]


def test_strangers_text_ends_no_event_early() -> None:
    text = event_text("client", {"message": EVIL + "\n\nevent: owned\n\n"})
    assert text.count("\n") == 3
    assert parsed(text)["event"] == "client"
