"""What ``powerd check`` says about a valid configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from powerd.config.load import empty_sleep_rules, locate_clauses, parse
from powerd.config.meaning import doubts, minutes_of, rule_sentence
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


ALL = '[[clients.class]]\nname = "all"\nmatch = ["*"]\n'
TV = '[[clients.class]]\nname = "tv"\nmatch = ["tv*", "10.0.0.8"]\n'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"[[sleep]]\n[[sleep]]\n{NIGHT}", "sleep[2]"),
        (f'[[sleep]]\n[[sleep]]\n{NIGHT}action = "poweroff"', "sleep[2]"),
        (f'[[sleep]]\nidle_for = "1h"\n[[sleep]]\n{NIGHT}', None),
        (f'[[sleep]]\n{NIGHT}idle_for = "1h"\n[[sleep]]', "sleep[1]"),
        (f'[[sleep]]\n[[sleep]]\n{NIGHT}dozing = "ignored"', None),
        (f'[[sleep]]\n{NIGHT}[[sleep]]\nduring = ["01:00-02:00"]', "sleep[2]"),
        (f'[[sleep]]\n{NIGHT}[[sleep]]\nduring = ["07:00-09:00"]', "sleep[2].during"),
        (f'[[sleep]]\n{NIGHT}[[sleep]]\nduring = ["08:00-09:00"]', None),
        (f'[[sleep]]\n{NIGHT}action = "poweroff"\n[[sleep]]', None),
        ('[[sleep]]\naction = "command"\ncommand = ["/bin/true"]\n[[sleep]]', None),
        ('[[sleep]]\nidle_for = "0s"\nwarn = "0s"', "sleep[1]"),
        ('[[sleep]]\nidle_for = "0s"', None),
        ('[clients]\nignore = ["tv", "*"]', "clients.ignore"),
        ('[clients]\nignore = ["0.0.0.0/0"]', "clients.ignore"),
        ('[clients]\nignore = ["*:*"]', "clients.ignore"),
        ('[clients]\nignore = ["10.0.0.0/8", "172.16.0.0/12", "192.168.*"]', "clients.ignore"),
        ('[clients]\nignore = ["10.0.0.0/8", "printer*"]', None),
        (f"{ALL}keeps_awake = false", "clients.class"),
        ('[clients]\nleases = []\nlearn = "0s"', "clients.leases"),
        ('[clients]\nleases = []\nlearn = "0s"\nhosts = ["tv"]', None),
        ('[clients]\nignore = ["aa-bb-cc-*"]', "clients.ignore"),
        ('[clients]\nignore = ["aabbccddeeff"]', "clients.ignore"),
        ('[clients]\nignore = ["/phone.*/"]', "clients.ignore"),
        (
            '[clients]\nignore = ["aa:bb:cc:*", "AA-BB-CC-DD-EE-FF", "fe80::1", "10.1.*", "tv-2"]',
            None,
        ),
        (f"{ALL}{TV}", "clients.class[2]"),
        (f"{TV}{ALL}", None),
        (f'{TV}[[clients.class]]\nname = "new"\nmatch = ["tv-new", "10.0.0.8"]', "clients.class[2]"),
        (f'{TV}[[clients.class]]\nname = "new"\nmatch = ["tv-new", "10.0.0.9"]', None),
        (f'[clients]\nignore = ["10.0.0.0/24", "t*"]\n{TV}', "clients.class[1]"),
        ('[[disks.rule]]\nmatch = ["ata-WDC*"]\n[[disks.rule]]\nmatch = ["ata-WDC_WD20"]', "disks.rule[2]"),
        ('[[disks.rule]]\nmatch = ["WDC WD20*"]\n[[disks.rule]]\nmatch = ["wdc_wd20efrx"]', "disks.rule[2]"),
        ('[[disks.rule]]\nmatch = ["ata-ST*"]\n[[disks.rule]]\nmatch = ["*"]', None),
        ('[disks]\nspin_down_after = "3s"', "disks.spin_down_after"),
        ('[[disks.rule]]\nmatch = ["x"]\nspin_down_after = "1min"', "disks.rule[1].spin_down_after"),
        ('[disks]\nspin_down_after = "0s"', None),
        ('mode = "enforce"', "hooks.notify"),
        ('mode = "enforce"\n[messages]\nquiet = ["22:00-07:00"]', "hooks.notify"),
        ('[messages]\nquiet = ["22:00-07:00"]', "hooks.notify"),
        (
            '[messages]\nevents = ["warning"]\n[hooks]\nalert = ["/bin/true"]\n[[sleep]]\nidle_for = "1h"',
            None,
        ),
        (
            '[messages]\nevents = ["warning"]\n[hooks]\nalert = ["/bin/true"]\n[[sleep]]\nwarn = "0s"',
            "messages.events",
        ),
        ('mode = "enforce"\n[smart]\nevery = "0s"', None),
        ('mode = "enforce"\n[hooks]\nnotify = ["ntfy://topic"]', None),
        ('mode = "enforce"\n[hooks]\nalert = ["/bin/true"]', None),
        ('[disks]\nspin_down_after = "20min"\nmethod = "timer"', None),
        ('[disks]\nspin_down_after = "5h17min"\nmethod = "timer"', "disks.spin_down_after"),
        ('[disks]\nspin_down_after = "25min"\nmethod = "both"', "disks.spin_down_after"),
        (
            '[[disks.rule]]\nmatch = ["x"]\nspin_down_after = "45min"\nmethod = "timer"',
            "disks.rule[1].spin_down_after",
        ),
        ('[disks]\nspin_down_after = "45min"', None),
        ('[http]\nhosts = ["nas.lan"]', "http.login"),
        ('[clients]\nhosts = ["0.0.0.0"]', "clients.hosts"),
        ('[clients]\nhosts = ["127.0.0.2"]', "clients.hosts"),
        ('[clients]\nhosts = ["ff02::1"]', "clients.hosts"),
        ('[clients]\nhosts = ["255.255.255.255"]', "clients.hosts"),
        ('[clients]\nhosts = ["fe80::1", "10.0.0.255"]', None),
        ('[[sleep]]\nduring = ["22:00-06:00", "23:00-05:00"]', "sleep[1].during"),
        ('[[sleep]]\nduring = ["Sun 22:00-23:00", "Sat,Sun 20:00-24:00"]', "sleep[1].during"),
        ('[[sleep]]\nduring = ["22:00-06:00", "Sat,Sun 00:00-09:00"]', None),
        ('[[sleep]]\nduring = ["Mon-Fri 23:00-06:30", "Sat,Sun 01:00-09:00"]', None),
        ('[[sleep]]\nduring = ["Fri 22:00-06:00", "Mon 01:00-02:00", "Sat 01:00-02:00"]', "sleep[1].during"),
        ('[[sleep]]\nduring = ["22:00-06:00", "22:00-06:00"]', "sleep[1].during"),
        ('[[sleep]]\nduring = ["22:00-06:00", "06:00-08:00"]', None),
        ('[[sleep]]\nduring = ["Fri 22:00-06:00", "Sun 01:00-02:00"]', None),
        ('[[sleep]]\nduring = ["01:00-01:20"]', "sleep[1].idle_for"),
        ('[[sleep]]\nduring = ["01:00-01:20", "01:20-01:40"]', None),
        ('[[sleep]]\nduring = ["Sun 23:40-24:00", "Mon 00:00-00:20"]\nidle_for = "35min"', None),
        ('[[sleep]]\nduring = ["01:00-01:20"]\nidle_for = "3d"', None),
        ('[[sleep]]\nduring = ["01:00-01:20"]\nidle_for = "0s"\nwarn = "30min"', "sleep[1].warn"),
        ('[[sleep]]\nidle_for = "10min"\nwarn = "20min"', "sleep[1].warn"),
        ('[[sleep]]\nidle_for = "10min"\nwarn = "10min"', None),
        ('[wake]\nat = ["06:00"]\nmin_sleep = "8h"\n[[sleep]]\nduring = ["22:00-06:00"]', "wake.min_sleep"),
        ('[wake]\nat = ["06:00"]\nmin_sleep = "7h"\n[[sleep]]\nduring = ["22:00-06:00"]', None),
        ('[wake]\nat = ["06:00"]\nmin_sleep = "1d"\n[[sleep]]', "wake.min_sleep"),
        ('[wake]\nat = ["Mon 06:00"]\nmin_sleep = "1d"\n[[sleep]]', None),
        (
            '[awake]\nafter_resume = "9h"\n[wake]\nat = ["22:00"]\n[[sleep]]\nduring = ["23:00-06:00"]',
            "wake.min_sleep",
        ),
        (
            '[awake]\nafter_resume = "3h"\n[wake]\nat = ["22:00"]\n[[sleep]]\nduring = ["23:00-06:00"]',
            None,
        ),
        ('[wake]\nmin_sleep = "1d"\n[[sleep]]', None),
        (f"[clients]\nhosts = {[f'10.0.{n // 250}.{n % 250}' for n in range(4097)]}", "clients.hosts"),
        (f"[clients]\nhosts = {[f'10.0.{n // 250}.{n % 250}' for n in range(4096)] * 2}", None),
        ('[http]\nbase_path = "/powerd"', "http.login"),
        ('[http]\nhosts = ["nas.lan"]\nlogin = "password"', None),
        ('[http]\ntoken_file = "/etc/powerd/token"', None),
        *(
            (f"[[activity.log]]\nname = 'a'\npaths = ['/var/log/a']\nregex = '{regex}'", key)
            for regex, key in {
                "(a+)+$": "activity.log",
                "(?:x|(?P<n>a*)b)*c": "activity.log",
                "(a{2,}){3,}": "activity.log",
                "GET /films/.*": None,
                "(GET|POST) /films/([^/]+)": None,
                r"\(a+\)+": None,
                "[(a+)]+": None,
                "(ab){2,}c": None,
            }.items()
        ),
    ],
)
def test_doubts(text: str, key: str | None, tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text(text)
    problems = locate_clauses(file, doubts(options(text)), "warning")
    assert [each.key for each in problems] == ([] if key is None else [key])
    for each in problems:
        assert each.text
        assert each.remedy
        if each.line is not None:  # None: no line sets the key
            line = text.split("\n")[each.line - 1]
            assert line.startswith("[") or each.key.rpartition(".")[2] in line


def test_a_rule_that_sets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('mode = "enforce"\nsmart.every = "0s"\n[[sleep]]\naction = "suspend"\n[[sleep]]\n')
    assert empty_sleep_rules(file) == [2]
    assert empty_sleep_rules(tmp_path / "none") == []
    rule = options('mode = "enforce"\nsmart.every = "0s"\n[[sleep]]')
    assert [key for key, _ in doubts(rule, [1])] == ["sleep[1]"]
    assert list(doubts(options("[[sleep]]"), [1])) == [], "in observe mode nothing happens"


def test_windows_past_midnight_and_the_end_of_the_week() -> None:
    minutes = minutes_of([parse_window("Sun 23:00-01:00")])
    assert minutes == {*range(6 * 1440 + 1380, 7 * 1440), *range(60)}
    assert len(minutes_of([parse_window("00:00-24:00")])) == len(minutes_of([])) == 7 * 1440
