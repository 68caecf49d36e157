from __future__ import annotations

from faces.house import EVIL

from powerd.faces.shapes import KeepJson, WokenJson
from powerd.faces.wishes import dropped_text, keeps_text, kept_text, woken_text
from powerd.faces.words import width

NOW = "2026-01-12T21:16:00+01:00"
BACKUP: KeepJson = {"id": "3", "because": "backup", "since": NOW, "until": "2026-01-12T23:17:00+01:00"}
RSYNC: KeepJson = {"id": "h1", "because": "rsync", "since": NOW, "until": None}


def test_keeps_are_a_table() -> None:
    long = KeepJson(id="12", because="moving " * 20, since=NOW, until="2026-01-15T08:00:00+01:00")
    text = keeps_text([BACKUP, RSYNC, long], NOW)
    assert text.splitlines()[:3] == [
        "ID  UNTIL      LEFT       BECAUSE",
        "3   23:17      2 h 1 min  backup",
        "h1  it ends    -          rsync",
    ]
    assert [line.split()[0] for line in text.splitlines()[1:4]] == ["3", "h1", "12"]
    assert all(width(line) <= 80 for line in text.splitlines())


def test_none_is_said() -> None:
    assert keeps_text([], NOW) == "Nothing keeps it awake on purpose.\n"


def test_a_keep_says_how_it_is_ended() -> None:
    assert kept_text(BACKUP) == "Kept awake until 23:17: backup.\nTo end it earlier: powerd keep --drop 3\n"
    assert kept_text({**BACKUP, "because": ""}).startswith("Kept awake until 23:17.\n")
    assert dropped_text(BACKUP) == "Dropped keep 3: backup.\n"


def test_a_mac_alone_is_not_said_twice() -> None:
    mac = "02:00:00:00:00:09"
    woken: WokenJson = {"host": mac, "mac": mac, "sent": [{"link": "eth0", "to": "10.0.0.255"}]}
    assert woken_text(woken) == f"Sent three magic packets for {mac} to 10.0.0.255 (eth0).\n"


def test_strangers_text_steers_no_terminal() -> None:
    evil: KeepJson = {**BACKUP, "because": EVIL, "id": EVIL}
    woken: WokenJson = {"host": EVIL, "mac": EVIL, "sent": [{"link": EVIL, "to": EVIL}]}
    for text in (keeps_text([evil], NOW), kept_text(evil), dropped_text(evil), woken_text(woken)):
        assert all(line.isprintable() for line in text.split("\n"))
