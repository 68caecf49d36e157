"""What ``powerd check`` says about a valid configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from powerd.config.load import parse
from powerd.config.meaning import doubts, minutes_of, missing_on, rule_sentence
from powerd.config.options import Options
from powerd.config.values import parse_window


def options(text: str) -> Options:
    return parse(text.encode(), "test")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ("suspends", "at any time", "30min", "warning of 1min")),
        ('action = "poweroff"\nduring = ["00:00-08:00"]', ("powers off", "00:00-08:00")),
        ('during = ["Fri,Sat 01:30-10:00", "22:00-23:00"]', ("Fri,Sat 01:30-10:00, 22:00-23:00",)),
        ('idle_for = "0s"\nwarn = "0s"', ("once nothing needs the server", "without a warning")),
        ('dozing = "ignored"', ("dozing",)),
        ('action = "command"\ncommand = ["/bin/true"]', ("runs its command",)),
    ],
)
def test_a_rule_in_words(text: str, terms: tuple[str, ...]) -> None:
    sentence = rule_sentence(options(f"[[sleep]]\n{text}").sleep[0])
    assert all(term in sentence for term in terms), sentence


NIGHT = 'during = ["00:00-08:00"]\n'


@pytest.mark.parametrize(
    ("text", "term"),
    [
        (f"[[sleep]]\n[[sleep]]\n{NIGHT}", "rule 2 has no effect"),
        (f'[[sleep]]\n[[sleep]]\n{NIGHT}action = "poweroff"', "rule 2 acts only where rule 1 has failed"),
        (f'[[sleep]]\nidle_for = "1h"\n[[sleep]]\n{NIGHT}', None),
        (f'[[sleep]]\n{NIGHT}idle_for = "1h"\n[[sleep]]', "rule 1 has no effect"),
        (f'[[sleep]]\n[[sleep]]\n{NIGHT}dozing = "ignored"', None),
        (f'[[sleep]]\n{NIGHT}[[sleep]]\nduring = ["01:00-02:00"]', "rule 2 has no effect"),
        (f'[[sleep]]\n{NIGHT}[[sleep]]\nduring = ["07:00-09:00"]', "overlap"),
        (f'[[sleep]]\n{NIGHT}[[sleep]]\nduring = ["08:00-09:00"]', None),
        (f'[[sleep]]\n{NIGHT}action = "poweroff"\n[[sleep]]', None),
        ('[[sleep]]\naction = "command"\ncommand = ["/bin/true"]\n[[sleep]]', None),
        ('[[sleep]]\nidle_for = "0s"\nwarn = "0s"', "at once"),
        ('[clients]\nignore = ["tv", "*"]', "clients.ignore"),
        (
            '[[clients.class]]\nname = "all"\nmatch = ["*"]\n[[clients.class]]\nname = "tv"\nmatch = ["tv"]',
            '"tv"',
        ),
        (
            '[[clients.class]]\nname = "tv"\nmatch = ["tv"]\n[[clients.class]]\nname = "all"\nmatch = ["*"]',
            None,
        ),
        ('[disks]\nspin_down_after = "3s"', "disks.spin_down_after"),
        ('[[disks.rule]]\nmatch = ["x"]\nspin_down_after = "1min"', "disks.rule[1]"),
        ('[disks]\nspin_down_after = "0s"', None),
        ('[disks]\nspin_down_after = "20min"', None),
        ('mode = "enforce"', "hooks.notify"),
        ('mode = "enforce"\n[smart]\nevery = "0s"', None),
        ('mode = "enforce"\n[hooks]\nnotify = ["ntfy://topic"]', None),
        ('mode = "enforce"\n[hooks]\nalert = ["/bin/true"]', None),
    ],
)
def test_doubts(text: str, term: str | None) -> None:
    found = list(doubts(options(text)))
    assert len(found) == (term is not None), found
    assert term is None or term in found[0]


def test_windows_past_midnight_and_the_end_of_the_week() -> None:
    minutes = minutes_of([parse_window("Sun 23:00-01:00")])
    assert minutes == {*range(6 * 1440 + 1380, 7 * 1440), *range(60)}
    assert len(minutes_of([parse_window("00:00-24:00")])) == len(minutes_of([])) == 7 * 1440


def test_what_the_machine_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/my.leases").touch()
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    for timer in ("backup.timer", "copy@.timer"):
        (tmp_path / "etc/systemd/system" / timer).touch()
    given = options(
        '[clients]\nleases = ["auto", "/srv/*.leases", "/srv/none.leases"]\n'
        '[wake]\ntimers = ["auto", "backup.timer", "bakcup.timer", "copy@home.timer"]\n'
        '[[disks.rule]]\nmatch = ["ata-WDC*", "WDC WD20EFRX", "SERIAL", "ata-ST*"]\n'
    )
    found = list(missing_on(tmp_path, given, [("ata-WDC_1", "WDC WD20EFRX", "SERIAL")]))
    assert [
        next(term for term in ("none.leases", "bakcup", "ata-ST*") if term in each) for each in found
    ] == [
        "none.leases",
        "bakcup",
        "ata-ST*",
    ]
    assert "ata-WDC_1" in found[-1]
    assert list(missing_on(tmp_path, Options(), [])) == []
