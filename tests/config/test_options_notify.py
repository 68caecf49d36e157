"""Where findings are sent: what is a URL; and warnings about commands and secrets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from powerd.config.load import ConfigError, parse
from powerd.config.machine_check import option_warnings
from powerd.config.sample import effective_toml

URL = b'[hooks]\nnotify = ["ntfy://secret-topic"]\n'


@pytest.mark.parametrize("text", ["secret-topic", "ntfy://", "://secret-topic", "n\\ntfy://secret-topic"])
def test_what_is_no_url_is_a_fault_that_repeats_no_secret(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f'[hooks]\nnotify = ["{text}"]'.encode(), "file")
    (fault,) = caught.value.faults
    assert (fault.key, "secret" in str(fault)) == ("hooks.notify", False)


@pytest.mark.parametrize(
    ("key", "items", "numbers"),
    [
        ("hooks.notify", '"ntfy://x", "secret", "ntfy://y"', "item 2 of 3: "),
        ("hooks.notify", '"secret", "ntfy://x", "other"', "items 1, 3 of 3: "),
        ("hooks.notify", ", ".join(['"secret"'] * 7), "items 1, 2, 3, 4, 5, … of 7: "),
        ("hooks.notify", '"secret"', ""),
        ("clients.hosts", '"tv", 5, " "', "item 2 of 3: "),
        ("clients.hosts", '"tv", "a b"', '"'),
    ],
)
def test_an_error_names_the_item_of_the_list(key: str, items: str, numbers: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{key} = [{items}]".encode(), "file")
    assert caught.value.faults[0].text.startswith(numbers)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "notify = [ntfy://tk_secret]",
        'notify = ["ntfy://tk_secret]',
        'notify = "ntfy://tk_secret"',
        "notify = [\u201cntfy://tk_secret\u201d]",
        'notify = ["ntfy//tk_secret"]',
        "notify = ntfy://tk_secret",
        'notfy = ["ntfy://tk_secret"]',
        'notify = ["ntfy://tk_secret", 5]',
        'notify = [["ntfy://tk_secret"]]',
        'notify = {a="tk_secret"}',
        "ntfy://tk_secret = 1",
        'notify = ["ntfy://tk_secret" "x"]',
        'notify = ["ntfy://tk_secret",\u00a0"x"]',
        'notify = ["ntfy://tk_secret\\q"]',
    ],
)
def test_no_error_repeats_a_secret(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[hooks]\n{line}\n".encode(), "file")
    assert "tk_secret" not in str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "powerd.toml"
    file.write_bytes(URL)
    file.chmod(0o640)
    return file


def test_a_closed_file_and_apprise_are_all_that_it_takes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerd.config.machine_check.find_spec", lambda _: object())
    assert list(option_warnings(parse(URL, str(file)), file)) == []
    assert list(option_warnings(parse(URL, str(file)), file / "not there")) == []


def test_a_file_that_everybody_may_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerd.config.machine_check.find_spec", lambda _: object())
    file.chmod(0o644)
    ((key, clause),) = option_warnings(parse(URL, str(file)), file)
    assert key == "hooks.notify"
    assert clause.endswith(f"chgrp powerd {file} && chmod 640 {file}")
    assert list(option_warnings(parse(b"", str(file)), file)) == [], "without a secret everybody may"


def test_apprise_is_not_installed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    monkeypatch.setattr("powerd.config.machine_check.find_spec", lambda _: None)
    ((_, clause),) = option_warnings(parse(URL, str(file)), file)
    assert clause.endswith("pip install 'powerd[notify]'")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('events = ["woken"]', "messages.events"),
        ('events = "woke"', "messages.events"),
        ('quiet = ["22:00"]', "messages.quiet"),
        ('page = "nas.lan"', "messages.page"),
        ('page = "https://nas.lan/ powerd"', "messages.page"),
        ("page = 1", "messages.page"),
    ],
)
def test_messages_that_cannot_be_sent_so(line: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[messages]\n{line}".encode(), "file")
    assert key in str(caught.value)


def test_messages() -> None:
    text = '[messages]\nevents = ["woke"]\nquiet = ["22:00-07:00"]\npage = "http://nas.lan:8787/"\n'
    options = parse(text.encode(), "file")
    assert options.messages.events == ("woke",)
    assert parse(effective_toml(options).encode(), "file") == options
