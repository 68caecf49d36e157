"""Configurations that people write by mistake: each error has its line, its key and a fitting remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powerd.config.declare import OptionType
from powerd.config.load import ConfigError, load, parse
from powerd.config.problems import Problem
from powerd.config.suggestions import declared


class Mistake(NamedTuple):
    """A faulty text, and what its first error must have.

    Attributes:
        text: the configuration.
        line, key: of the error.
        remedy: a part of the remedy; "" = the remedy shows a line which makes the text valid in its place.
        others: keys of the other errors.
    """

    text: str
    line: int
    key: str
    remedy: str = ""
    others: tuple[str, ...] = ()


RULE: Final = '[[sleep]]\naction = "poweroff"\n'
NOT_TOML: Final = {
    "string without quotes": Mistake("[[sleep]]\naction = suspend", 2, "sleep[1].action"),
    "unknown string without quotes": Mistake("mode = on", 1, "mode", "mode =", ("mode",)),
    "duration without quotes": Mistake("[awake]\nafter_start = 10min", 2, "awake.after_start"),
    "duration in words without quotes": Mistake("[awake]\nafter_start = 10 min", 2, "awake.after_start"),
    "regular expression without an end": Mistake(
        '[[activity.log]]\nname = "x"\npaths = ["/a"]\nregex = "("', 4, "activity.log[1].regex", "correct"
    ),
    "quotes at the key only": Mistake('"mode" = enforce', 1, "mode"),
    "time without quotes": Mistake("[wake]\nat = 06:30", 2, "wake.at"),
    "window without quotes": Mistake(f"{RULE}during = 00:00-08:00", 3, "sleep[1].during"),
    "list of words without quotes": Mistake("[clients]\nhosts = [tv, pc.lan]", 2, "clients.hosts"),
    "words without brackets and quotes": Mistake("[clients]\nhosts = tv, pc.lan", 2, "clients.hosts"),
    "line of a list without quotes": Mistake('[clients]\nhosts = [\n "tv",\n pc.lan,\n]', 4, ""),
    "list without commas": Mistake('[clients]\nhosts = ["tv" "pc"]', 2, "clients.hosts"),
    "list without end": Mistake('[clients]\nhosts = ["tv",\nlearn = "1d"\n', 2, "clients.hosts", '"]"'),
    "list without end at the end": Mistake('[clients]\nhosts = ["tv"\n\n', 2, "clients.hosts", "add"),
    "list whose last line is a comment": Mistake(
        '[clients]\nhosts = [\n "tv",\n # "pc"\n', 2, "clients.hosts", '"]"'
    ),
    "list without end before a comment": Mistake(
        '[clients]\nhosts = ["tv", # mine\n# days\nlearn = "1d"', 2, "clients.hosts", '"]"'
    ),
    "empty key": Mistake('mode = "enforce"\n"" = 1', 2, "", "known keys"),
    "JSON": Mistake('{"mode": "enforce"}', 1, "", "own line"),
    "True": Mistake("[wake]\narm_lan = True", 2, "wake.arm_lan"),
    "FALSE": Mistake("[disks]\nusb = FALSE # comment", 2, "disks.usb"),
    "yes": Mistake("[wake]\narm_lan = yes", 2, "wake.arm_lan"),
    "off": Mistake("[activity.load]\nenabled = off", 2, "activity.load.enabled"),
    "typographic quotes": Mistake("mode = “enforce”", 1, "mode"),
    "German quotes": Mistake("mode = „enforce“", 1, "mode"),
    "French quotes": Mistake("[clients]\nhosts = [«tv»]", 2, "clients.hosts"),
    "one typographic quote": Mistake('mode = "enforce”', 1, "mode"),
    "backquotes": Mistake("mode = `enforce`", 1, "mode"),
    "end quote missing": Mistake('mode = "enforce\n[clients]\nhosts = []', 1, "mode"),
    "first quote missing": Mistake('mode = enforce"', 1, "mode"),
    "other end quote": Mistake("mode = 'enforce\"", 1, "mode"),
    "end quote in a list missing": Mistake('[clients]\nhosts = ["tv", "pc]', 2, "clients.hosts"),
    "end of a long string missing": Mistake(
        '[[clients.class]]\nname = """tv\nmatch = ["tv"]', 2, "clients.class[1].name"
    ),
    "colon": Mistake('mode: "observe"', 1, "mode"),
    "no equals sign": Mistake('mode "observe"', 1, "mode"),
    "two equals signs": Mistake('mode == "observe"', 1, "mode"),
    "no value": Mistake("[clients]\nhosts =\n", 2, "clients.hosts", "#"),
    "comma at the end": Mistake('mode = "observe",', 1, "mode"),
    "semicolon at the end": Mistake('mode = "observe";', 1, "mode"),
    "header without end": Mistake('[clients\nlearn = "1d"', 1, ""),
    "array header without end": Mistake(f"{RULE}\n[[sleep]\n", 4, ""),
    "two settings on a line": Mistake('[clients] learn = "1d"', 1, "", "new line"),
    "comment of C": Mistake('// nights\nmode = "observe"', 1, ""),
    "comment of an ini file": Mistake("; nights", 1, ""),
    "comment of C after a value": Mistake('mode = "observe" // nights', 1, "mode"),
    "no-break space": Mistake('mode\u00a0= "observe"', 1, "mode", 'space: mode = "observe"'),
    "no-break space after a header": Mistake("[clients]\u00a0", 1, "", "space"),
    "zero-width space": Mistake('\u200bmode = "observe"', 1, "", "space"),
    "byte order mark inside": Mistake('\n\ufeffmode = "observe"', 2, "", "space"),
    "number with a leading zero": Mistake(
        "[disks]\nmax_spin_downs_per_day = 012", 2, "disks.max_spin_downs_per_day"
    ),
    "per cent": Mistake("[activity.load]\npercent = 10%", 2, "activity.load.percent"),
    "Windows path": Mistake(
        '[[activity.file]]\nname = "x"\npaths = ["/srv\\data"]', 3, "activity.file[1].paths"
    ),
    "Windows path with an escape of its own": Mistake(
        '[http]\ntoken_file = "C:\\users"', 2, "http.token_file", "'C:", ("http.token_file",)
    ),
    "table in braces on two lines": Mistake('smart = {every = "1d",\nat = "12:00"}', 1, "smart", "one line"),
    "same table twice": Mistake('[clients]\nlearn = "1d"\n[clients]\nevery = "60s"', 3, "clients", "join"),
    "same table twice, after a dotted key": Mistake('clients.learn = "1d"\n[clients]', 2, "clients", "join"),
    "same key twice": Mistake('[clients]\nlearn = "1d"\nlearn = "1d"', 3, "clients.learn", "remove one"),
    "two rules as tables": Mistake(
        '[sleep]\nidle_for = "1h"\n[sleep]\nidle_for = "2h"', 3, "sleep", "[[sleep]]"
    ),
    "rule as table and array": Mistake('[[sleep]]\n[sleep]\nidle_for = "1h"', 2, "sleep", "[[sleep]]"),
    "nested too deeply": Mistake(f"mode = {'[' * 5000}{']' * 5000}", 1, "mode", "shorten"),
    "number of thousands of digits": Mistake(f"\nmode = {'9' * 5000}", 2, "mode", "shorten"),
}
INVALID: Final = {
    "misspelt key": Mistake('moode = "observe"', 1, "moode", '"mode"'),
    "misspelt table": Mistake('[client]\nlearn = "1d"', 1, "client", '"clients"'),
    "misspelt check": Mistake("[activity.disk_oi]", 1, "activity.disk_oi", '"activity.disk_io"'),
    "nothing like any key": Mistake("\nzzzzzz = 1", 2, "zzzzzz", "known keys"),
    "key of the top under a table": Mistake('[clients]\nmode = "observe"', 2, "clients.mode", "above"),
    "key of another table": Mistake(
        '[clients]\nspin_down_after = "1h"', 2, "clients.spin_down_after", "[disks]"
    ),
    "key of a table at the top": Mistake('hosts = ["tv"]', 1, "hosts", "[clients]"),
    "table in a table": Mistake("[clients.wake]", 1, "clients.wake", "[wake]"),
    "table repeated in its key": Mistake('[clients]\nclients.learn = "1d"', 2, "clients.clients", "without"),
    "table for an array of tables": Mistake('[sleep]\naction = "suspend"', 1, "sleep", "instead of [sleep]"),
    "array of tables for a table": Mistake('[[clients]]\nlearn = "1d"', 1, "clients", "[clients]"),
    "value for a table": Mistake("clients = true", 1, "clients", "[clients]"),
    "table for an array of checks": Mistake("\n[activity.file]", 2, "activity.file", "[[activity.file]]"),
    "value for a check": Mistake("[activity]\nload = true", 2, "activity.load", "[activity.load]"),
    "string for a list": Mistake('[clients]\nhosts = "tv"', 2, "clients.hosts"),
    "window for a list": Mistake(f'{RULE}during = "00:00-08:00"', 3, "sleep[1].during"),
    "command as a string": Mistake('[hooks]\nbefore_sleep = "/bin/true -x"', 2, "hooks.before_sleep"),
    "list for a string": Mistake('mode = ["observe"]', 1, "mode"),
    "list of numbers": Mistake("[clients]\nhosts = [1]", 2, "clients.hosts", "quote"),
    "list for a string without one": Mistake("[http]\ntoken_file = [1]", 2, "http.token_file", '"…"'),
    "number for a list": Mistake('[[disks.rule]]\nmatch = ["x"]\napm = [127]', 3, "disks.rule[1].apm"),
    "string for a number": Mistake(
        '[disks]\nmax_spin_downs_per_day = "24"', 2, "disks.max_spin_downs_per_day"
    ),
    "string for true": Mistake('[wake]\narm_lan = "yes"', 2, "wake.arm_lan"),
    "number for true": Mistake("[wake]\narm_lan = 1", 2, "wake.arm_lan", "true"),
    "time for a string": Mistake("[smart]\nat = 12:00:00", 2, "smart.at"),
    "false for a choice": Mistake("[clients]\narp = false", 2, "clients.arp", '"never"'),
    "list for a choice": Mistake("[http]\nlogin = [1]", 2, "http.login", '"password"'),
    "true for a duration": Mistake("[clients]\nlearn = true", 2, "clients.learn", '"20min"'),
    "table for a duration": Mistake("[clients.every]", 1, "clients.every", '"20min"'),
    "number for a string": Mistake("[mqtt]\nuser = 1", 2, "mqtt.user"),
    "decimal number for a whole number": Mistake(
        "[activity.load]\npercent = 10.0", 2, "activity.load.percent"
    ),
    "price in words": Mistake('[history]\nprice = "0,30 €"', 2, "history.price", "0.35"),
    "duration without unit": Mistake("[clients]\nevery = 60", 2, "clients.every", '"60s"'),
    "duration with another unit": Mistake(f'{RULE}idle_for = "30m"', 3, "sleep[1].idle_for"),
    "duration in words": Mistake(f'{RULE}idle_for = "2 hours"', 3, "sleep[1].idle_for"),
    "duration out of range": Mistake('[clients]\nevery = "1s"', 2, "clients.every", "5s"),
    "number out of range": Mistake('[[disks.rule]]\nmatch = ["x"]\napm = 300', 3, "disks.rule[1].apm", "254"),
    "day in full": Mistake('[wake]\nat = ["Monday 6:30"]', 2, "wake.at"),
    "day in another language": Mistake(
        '[wake]\nat = ["Montag 06:30", "Die 07:00"]', 2, "wake.at", "Mon", ("wake.at",)
    ),
    "window with spaces": Mistake(f'{RULE}during = ["0:00 - 8:00"]', 3, "sleep[1].during"),
    "time past the day": Mistake('[wake]\nat = ["25:00"]', 2, "wake.at", "06:30"),
    "misspelt choice": Mistake('[[sleep]]\naction = "powerof"', 2, "sleep[1].action", '"poweroff"'),
    "choice in capitals": Mistake('mode = "Enforce"', 1, "mode"),
    "unknown choice": Mistake('mode = "on"', 1, "mode", "enforce"),
    "host in words": Mistake('[clients]\nhosts = ["tv (living room)"]', 2, "clients.hosts", "tv.lan"),
    "address out of range": Mistake('[clients]\nhosts = ["192.168.1.300"]', 2, "clients.hosts", "192.168"),
    "network as a host": Mistake('[clients]\nhosts = ["192.168.1.0/24"]', 2, "clients.hosts", "192.168"),
    "network with host bits": Mistake('[clients]\nignore = ["10.0.0.1/8"]', 2, "clients.ignore", "prefix"),
    "empty pattern": Mistake('[clients]\nignore = [""]', 2, "clients.ignore", "remove"),
    "second line of a list": Mistake('[clients]\nhosts = [\n"tv",\n" "]', 2, "clients.hosts", "remove"),
    "device name": Mistake('[[disks.rule]]\nmatch = ["sda"]', 2, "disks.rule[1].match", "/dev/disk/by-id"),
    "relative command": Mistake('[hooks]\nalert = ["mail"]', 2, "hooks.alert", "write"),
    "relative path": Mistake('[http]\ntoken_file = "token"', 2, "http.token_file", "/"),
    "command without its action": Mistake(f'{RULE}command = ["/bin/true"]', 3, "sleep[1].command", "remove"),
    "action without its command": Mistake('\n[[sleep]]\naction = "command"', 2, "sleep[1].command", "write"),
    "rule without a disk": Mistake("[[disks.rule]]\napm = 127", 1, "disks.rule[1].match", "add"),
    "class without a name": Mistake('[[clients.class]]\nmatch = ["x"]', 1, "clients.class[1].name", "name"),
    "all interfaces": Mistake('[http]\nlisten = ["0.0.0.0:8787"]', 2, "http.listen", "proxy"),
    "port alone": Mistake('[http]\nlisten = ["8787"]', 2, "http.listen", "127.0.0.1"),
    "timeout longer than the interval": Mistake(
        '[clients]\nevery = "5s"\ntimeout = "5s"', 3, "clients.timeout", "shorten"
    ),
    "timer longer than a drive's": Mistake(
        '[disks]\nmethod = "timer"\nspin_down_after = "6h"', 3, "disks.spin_down_after", "command"
    ),
    "timer of a rule longer than a drive's": Mistake(
        '[disks]\nspin_down_after = "6h"\n[[disks.rule]]\nmatch = ["*"]\nmethod = "timer"',
        3,
        "disks.rule[1].spin_down_after",
        "command",
    ),
    "true for a number": Mistake(
        "[disks]\nmax_spin_downs_per_day = true", 2, "disks.max_spin_downs_per_day", "number"
    ),
    "fraction for a number": Mistake(
        "[disks]\nmax_spin_downs_per_day = 1.5", 2, "disks.max_spin_downs_per_day"
    ),
    "no URL of Apprise": Mistake('[hooks]\nnotify = ["me@example.org"]', 2, "hooks.notify", "://"),
    "timer without suffix": Mistake('[wake]\ntimers = ["backup"]', 2, "wake.timers", ".timer"),
    "date for a string": Mistake("[mqtt]\nuser = 1979-05-27", 2, "mqtt.user"),
    "date for a list": Mistake("[wake]\nat = [1979-05-27]", 2, "wake.at", "quote"),
    "time with seconds in a list": Mistake("[wake]\nat = [06:30:00]", 2, "wake.at"),
    "date and time for a duration": Mistake(
        "[clients]\nlearn = 1979-05-27T07:32:00Z", 2, "clients.learn", "20min"
    ),
    "date for a number": Mistake("[history]\nprice = 2026-01-01", 2, "history.price", "0.35"),
    "negative number": Mistake("[activity.load]\npercent = -1", 2, "activity.load.percent", "write"),
    "negative duration": Mistake('[awake]\nafter_start = "-5min"', 2, "awake.after_start", "20min"),
    "negative price": Mistake("[history]\nprice = -0.3", 2, "history.price", "price = 0"),
    "infinity": Mistake("[history]\nprice = inf", 2, "history.price", "write 0"),
    "not a number": Mistake("[history]\nprice = nan", 2, "history.price", "write 0"),
    "number beyond all floats": Mistake("[history]\nprice = 1e400", 2, "history.price", "write 0"),
    "huge number": Mistake(
        "[disks]\nmax_spin_downs_per_day = 99999999999999999999", 2, "disks.max_spin_downs_per_day", "write"
    ),
    "duration with a point": Mistake('[awake]\nafter_start = "1.5h"', 2, "awake.after_start", "1h30min"),
    "duration of a thousand years": Mistake(
        '[awake]\nafter_start = "9999999d"', 2, "awake.after_start", "less"
    ),
    "list in a list": Mistake('[clients]\nhosts = [["tv"]]', 2, "clients.hosts"),
    "table in a list": Mistake("[clients]\nhosts = [{a = 1}]", 2, "clients.hosts", "…"),
    "true in a list": Mistake('[clients]\nhosts = ["tv", true]', 2, "clients.hosts", "…"),
    "patterns in one string": Mistake(
        '[clients]\nignore = "10.0.0.9, tv"', 2, "clients.ignore", 'write ignore = ["10.0.0.9", "tv"]'
    ),
    "string in place of an array of tables": Mistake('sleep = "poweroff"', 1, "sleep", "[[sleep]]"),
    "inline table for an array of tables": Mistake("sleep = {}", 1, "sleep", "[[sleep]]"),
    "strings for an array of tables": Mistake('sleep = ["poweroff"]', 1, "sleep", "[[sleep]]"),
    "numbered table for an array of tables": Mistake(
        '[sleep.1]\naction = "suspend"', 1, "sleep", "[[sleep]]"
    ),
    "table for classes": Mistake('[clients.class]\nname = "x"', 1, "clients.class", "[[clients.class]]"),
    "array for the table of all checks": Mistake("[[activity]]", 1, "activity", "[activity] instead"),
    "array for a check": Mistake("[[activity.load]]", 1, "activity.load", "instead of [[activity.load]]"),
    "number for a list of checks": Mistake("[activity]\nfile = 5", 2, "activity.file", "[[activity.file]]"),
    "NUL in a path": Mistake('[http]\ntoken_file = "/a\\u0000b"', 2, "http.token_file", "remove"),
    "NUL in a command": Mistake('[hooks]\nalert = ["/bin/a\\u0000b"]', 2, "hooks.alert", "remove"),
    "NUL in a lease file": Mistake('[clients]\nleases = ["/a\\u0000b"]', 2, "clients.leases", "remove"),
    "line end in a name": Mistake(
        '[[clients.name]]\nmatch = "x"\nname = "a\\nb"', 3, "clients.name[1].name", "remove"
    ),
    "escape sequence of a terminal": Mistake('[mqtt]\nuser = "\\u001b[2J"', 2, "mqtt.user", "remove"),
    "mark of the writing direction": Mistake('[mqtt]\nuser = "\\u202e"', 2, "mqtt.user", "remove"),
    "long value": Mistake(f'mode = "{"x" * 5000}"', 1, "mode", "observe"),
    "URL with half a bracket": Mistake(
        '[[activity.kodi]]\nname = "x"\nurl = "http://[::1"', 3, "activity.kodi[1].url", "http://127.0.0.1"
    ),
    "URL with a space": Mistake(
        '[[activity.kodi]]\nname = "x"\nurl = "http://a/b c"', 3, "activity.kodi[1].url", "%20"
    ),
    "key with a space": Mistake('"a b" = 1', 1, "a b", "known keys"),
    "window without an end": Mistake(f'{RULE}during = ["22:00-"]', 3, "sleep[1].during", "08:00"),
    "window of no length": Mistake(f'{RULE}during = ["22:00-22:00"]', 3, "sleep[1].during", "00:00-24:00"),
    "range of three days": Mistake('[wake]\nat = ["Mon-Tue-Wed 06:30"]', 2, "wake.at", "Mon"),
    "included file that is missing": Mistake('\ninclude = ["none.toml"]', 2, "include", "correct"),
}


def errors_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "f")
    return caught.value.faults


@pytest.mark.parametrize("mistake", [*NOT_TOML.values(), *INVALID.values()], ids=[*NOT_TOML, *INVALID])
def test_each_mistake_has_its_place_and_remedy(mistake: Mistake) -> None:
    first, *others = errors_of(mistake.text)
    assert (first.file, first.line, first.key) == ("f", mistake.line, mistake.key), first
    assert first.text
    assert first.remedy
    assert tuple(each.key for each in others) == mistake.others
    if mistake.remedy:
        assert mistake.remedy in str(first)
    elif not mistake.others:
        lines = mistake.text.split("\n")
        lines[mistake.line - 1] = first.remedy.removeprefix("write ")
        parse("\n".join(lines).encode(), "f")


@pytest.mark.parametrize(
    ("content", "line", "remedy"),
    [
        ('mode = "observe"'.encode("utf-16"), None, "UTF-8"),
        ('mode = "observe"'.encode("utf-16-be"), None, "UTF-8"),
        (b'mode = "obs\0erve"', None, "UTF-8"),
        ('mode = "observe"\n# für nachts'.encode("latin-1"), 2, "UTF-8"),
        (b'\xef\xbb\xbf\n\nmode = "\xff"', 3, "UTF-8"),
        (b'mode = "observe"\r[clients]\rlearn = "1d"\r', None, "sed"),
        ('mode = "observe"'.encode("utf-32"), None, "UTF-8"),
        (b"\x1f\x8b\x08\x00\x00", None, "UTF-8"),
    ],
)
def test_a_file_in_another_encoding(content: bytes, line: int | None, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(content, "f")
    (fault,) = caught.value.faults
    assert fault.line == line
    assert remedy in fault.remedy


def test_tabs_byte_order_mark_and_lines_of_windows_are_no_mistake() -> None:
    assert parse(b'\xef\xbb\xbfmode\t=\t"enforce"\t# x\r\n[clients]\r\n', "f").mode == "enforce"


WRONG: Final[tuple[object, ...]] = (
    1,
    -1,
    1.5,
    True,
    "",
    "x y",
    "/",
    ["x y"],
    [1],
    [""],
    ["/"],
    {},
    [{}],
    "99d",
    "abc",
    10**9,
)


@pytest.mark.parametrize("key", [key for key, kind in declared().items() if isinstance(kind, OptionType)])
def test_each_option_has_a_remedy_for_each_wrong_value(key: str) -> None:
    kind = declared()[key]
    assert isinstance(kind, OptionType)
    clauses: list[str] = []
    for value in WRONG:
        try:
            kind.read(value)
        except ValueError as error:
            clauses += error.args
    assert [clause for clause in clauses if "; " not in clause] == []


def test_errors_of_form_do_not_hide_those_behind() -> None:
    text = 'mode = enforce\n[clients]\nhosts = ["tv]\nevry = "60s"\n[clients]\nevery = 3\n'
    text += "[awake]\nafter_start = 5"
    assert [(each.line, each.key) for each in errors_of(text)] == [
        (1, "mode"),
        (3, "clients.hosts"),
        (4, "clients.evry"),
        (5, "clients"),
        (8, "awake.after_start"),
    ]


def test_the_line_of_an_unknown_key_is_not_shown_but_its_fault_is() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(b"[wake]\nmy_password = hunter2", "f")
    assert "the quotation marks are missing" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_corrected_text_is_never_in_force(tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text("mode = enforce\n")
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(file))}:1: mode: [^\n]+$"):
        load(file)


def test_a_folder_and_a_path_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(ConfigError) as caught:
            load(path)
        (fault,) = caught.value.faults
        assert (fault.file, fault.line) == (str(path), None)
        assert fault.remedy


REAL: Final = """\
mode = "enforce"
[clients]
hosts = [
  "tv.lan", "10.0.0.7",
]
ignore = ["printer*"] # always on
[[clients.class]]
name = 'phone'
match = ["*phone*"]
[[sleep]]
action = "poweroff"
during = ["00:00-08:00"]
idle_for = "30min"
[smart]
self_test = { short = "7d", long = "30d" }
"""
_SLIPS: Final = ["", " ", '"', "'", "[", "]", "=", ",", ".", "\n", "#", "\\", "{", "”", "\u00a0", "x"]


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, len(REAL)), st.integers(0, 3), st.sampled_from(_SLIPS)),
        min_size=1,
        max_size=4,
    )
)
def test_fuzz_a_configuration_with_slips_of_the_keyboard(changes: list[tuple[int, int, str]]) -> None:
    text = REAL
    for start, length, new in changes:
        text = text[:start] + new + text[start + length :]
    try:
        parse(text.encode(), "f")
    except ConfigError as error:
        for fault in error.faults:
            assert str(fault).isprintable()
            assert fault.text
            assert fault.remedy
            assert fault.line is not None
            assert 1 <= fault.line <= text.count("\n") + 1
