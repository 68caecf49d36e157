"""Reading the configuration: every fault has file, key path and remedy, and nothing else is ever raised."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.config.load import ConfigError, load, parse
from powerd.config.options import Options


def faults_of(text: str) -> tuple[str, ...]:
    """The faults of a configuration that is expected to have some."""
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "/etc/powerd/powerd.toml")
    return tuple(fault.message for fault in caught.value.faults)


def test_all_faults_in_one_run() -> None:
    text = (
        'mode = "on"\nfoo = 1\n[clients]\nevery = 1\n[[sleep]]\nidle_for = "x"\n[awake]\nafter_start = "2d"\n'
    )
    assert [line.partition(": ")[0] for line in faults_of(text)] == [
        "mode",
        "foo",
        "clients.every",
        "sleep[1].idle_for",
        "awake.after_start",
    ]


def test_every_fault_of_a_list_is_reported_and_none_twice() -> None:
    faults = faults_of('[wake]\nat = ["9", "06:30", "24:00", 1, 2]\n[hooks]\nalert = [1, "x"]')
    assert [fault.partition(": ")[0] for fault in faults] == ["wake.at"] * 3 + ["hooks.alert"]
    assert '"9"' in faults[0]
    assert '"24:00"' in faults[1]


def test_a_byte_order_mark_is_no_fault() -> None:
    assert parse(b'\xef\xbb\xbfmode = "enforce"', "f").mode == "enforce"
    with pytest.raises(ConfigError, match=r"f:1: is not UTF-8 text: .*0xff"):
        parse(b"\xef\xbb\xbf# \xff", "f")


def test_not_utf8() -> None:
    with pytest.raises(ConfigError, match=r"f:1: is not UTF-8 text: .*0xff"):
        parse(b"# \xff", "f")


def test_a_fault_cannot_write_to_the_terminal() -> None:
    (fault,) = faults_of('"\\u001b[2J\\nx" = 1')
    assert fault.isprintable()
    assert "\\x1b[2J\\nx" in fault


def test_every_key_sets_its_option() -> None:
    options = parse(
        b'mode = "enforce"\n[clients]\nhosts = ["tv.lan"]\nlearn = "0s"\n[[clients.class]]\nname = "phone"\n'
        b'match = ["*phone*"]\nabsent_after = "15min"\n[[sleep]]\naction = "command"\n'
        b'command = ["/bin/true", "--quietly"]\nidle_for = "10min"\nwarn = "0s"\n'
        b'[http]\nlisten = ["[::1]:8787"]\n',
        "f",
    )
    assert options.mode == "enforce"
    assert (options.clients.hosts, options.clients.learn) == (("tv.lan",), 0)
    (phone,) = options.clients.class_
    assert (phone.name, phone.absent_after, phone.keeps_awake) == ("phone", 900, True)
    (rule,) = options.sleep
    assert (rule.command, rule.idle_for, rule.warn) == (("/bin/true", "--quietly"), 600, 0)
    assert options.http.listen == ("[::1]:8787",)


def test_a_missing_key_is_the_default() -> None:
    assert parse(b"", "f") == Options()


def test_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('mode = "enforce"\n')
    file.chmod(0o644)
    assert load(file).mode == "enforce"


def test_missing_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file.*--config"):
        load(tmp_path / "none.toml")


def test_missing_default_file_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys.modules[load.__module__], "DEFAULT_PATH", tmp_path / "none.toml")
    assert load() == Options()


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_a_device_is_no_configuration(device: str) -> None:
    with pytest.raises(ConfigError, match=f"{device}: .*regular file"):
        load(Path(device))


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "powerd.toml")
    (tmp_path / "link.toml").symlink_to("powerd.toml")
    for name in ("powerd.toml", "link.toml"):
        with pytest.raises(ConfigError, match="regular file"):
            load(tmp_path / name)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_bytes(b"\n" * (1 << 20))
    assert load(file) == Options()
    with file.open("ab") as end:
        end.write(b"\n")
    with pytest.raises(ConfigError, match="1048576 bytes"):
        load(file)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text('mode = "enforce"')
    (tmp_path / "powerd.toml").symlink_to("real.toml")
    assert load(tmp_path / "powerd.toml").mode == "enforce"
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    with pytest.raises(ConfigError, match="Too many levels of symbolic links"):
        load(tmp_path / "loop.toml")


def test_world_writable_file(tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.touch()
    file.chmod(0o666)
    with pytest.raises(ConfigError, match=rf"chmod o-w {re.escape(str(file))}"):
        load(file)


def test_what_is_wrong_with_the_file_does_not_hide_what_is_wrong_in_it(tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('mode = "on"\n[http]\ntoken_file = "/nonexistent"\n')
    file.chmod(0o666)
    with pytest.raises(ConfigError) as caught:
        load(file)
    shown = [fault.message for fault in caught.value.faults]
    assert [fault.split()[0] for fault in shown] == ["everybody", "mode:", "http.token_file:"]


def test_a_file_that_others_own_is_reported_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def closed(*_: object) -> None:  # root, who runs this, may read everything
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "powerd.toml"
    file.touch()
    monkeypatch.setattr("os.open", closed)
    remedy = f"chgrp powerd {file}; chmod 640 {file}"
    with pytest.raises(ConfigError, match=rf"permission denied; [^\n]*{re.escape(remedy)}"):
        load(file)


def _says_only_config_errors(content: bytes) -> None:
    faults: tuple[str, ...] = ("f:1: none",)
    try:
        parse(content, "f")
    except ConfigError as error:
        faults = tuple(map(str, error.faults))
    assert faults
    assert all(re.match(r"f(:\d+)?: ", line) and line.isprintable() for line in faults)


@given(st.binary() | st.text().map(str.encode))
def test_fuzz_any_bytes(content: bytes) -> None:
    _says_only_config_errors(content)


_WORDS = st.sampled_from(
    [
        *("mode", "clients", "sleep", "awake", "http", "leases", "hosts", "learn", "ignore", "every"),
        *("timeout", "absent_after", "arp", "class", "name", "match", "keeps_awake", "action", "during"),
        *("idle_for", "warn", "command", "after_start", "listen", "moode", "x"),
    ]
)
_TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x7f")) | st.sampled_from(
    ["", "60s", "1h30min", "observe", "command", "00:00-08:00", "10.0.0.0/8", "/bin/true", "127.0.0.1:80"]
)
_LEAVES = st.booleans() | st.integers() | st.floats() | _TEXTS
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)


def _toml(value: object) -> str:
    """``value`` as an inline TOML value."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999"])
@pytest.mark.parametrize(
    "key",
    [
        "clients.learn",
        "clients.leases",
        "watch.keep",
        "history.watts.awake",
        "mode",
        "wake.arm_lan",
        "wake.at",
    ],
)
def test_a_number_that_is_not_finite_is_an_error(key: str, value: str) -> None:
    assert faults_of(f"{key} = {value}")


@given(st.dictionaries(_WORDS, _VALUES))
def test_fuzz_known_keys_with_any_values(data: dict[str, object]) -> None:
    _says_only_config_errors("\n".join(f"{key} = {_toml(value)}" for key, value in data.items()).encode())
