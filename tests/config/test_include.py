"""Included files: their tables are merged, and every error names its file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from powerd.config import include
from powerd.config.load import ConfigError, load
from powerd.config.options import Options
from powerd.config.sample import effective_toml

FILES = dict[str, str]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the configuration; shared files are in ``share``."""
    monkeypatch.setattr(include, "SHARED_DIRECTORIES", (tmp_path / "share",))
    return tmp_path


def load_from(directory: Path, files: FILES) -> Options:
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return load(directory / "main.toml")


def faults(directory: Path, files: FILES) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_from(directory, files)
    return [str(fault).replace(f"{directory}/", "") for fault in raised.value.faults]


RULE = '[[sleep]]\naction = "suspend"\nidle_for = "{}min"\n'


def test_tables_are_merged_and_rows_of_included_files_come_first(directory: Path) -> None:
    options = load_from(
        directory,
        {
            "main.toml": 'include = ["a.toml", "sub/b.toml"]\nmode = "enforce"\n'
            '[clients]\nhosts = ["tv"]\n' + RULE.format(3),
            "a.toml": '[clients]\nevery = "2min"\n' + RULE.format(1),
            "sub/b.toml": 'include = ["c.toml"]\n' + RULE.format(2),
            "sub/c.toml": '[clients]\ntimeout = "2s"\n[activity.load]\npercent = 7\n',
        },
    )
    assert [rule.idle_for for rule in options.sleep] == [60.0, 120.0, 180.0]
    clients = options.clients
    assert (options.mode, clients.hosts, clients.every, clients.timeout) == ("enforce", ("tv",), 120.0, 2.0)
    assert options.include == (), "they are part of the configuration now"
    assert load_from(directory, {"main.toml": effective_toml(options)}) == options


def test_a_shared_file_and_one_of_the_same_name_beside_the_configuration(directory: Path) -> None:
    main = {"main.toml": 'include = ["presets/x.toml"]'}
    share = {**main, "share/presets/x.toml": 'mode = "enforce"'}
    (directory / "share").mkdir()
    assert load_from(directory, share).mode == "enforce"
    assert load_from(directory, {**main, "presets/x.toml": 'mode = "observe"'}).mode == "observe"


def test_a_file_that_is_included_twice_counts_once(directory: Path) -> None:
    options = load_from(
        directory,
        {
            "main.toml": 'include = ["a.toml", "b.toml", "./a.toml"]',
            "a.toml": RULE.format(1),
            "b.toml": 'include = ["a.toml"]',
        },
    )
    assert len(options.sleep) == 1


@pytest.mark.parametrize(
    ("files", "file", "texts"),
    [
        ({"main.toml": 'include = ["none.toml"]'}, "main.toml", ('"none.toml" does not exist', "share")),
        ({"main.toml": "include = 3"}, "main.toml", ("must be a list",)),
        ({"main.toml": 'include = [""]'}, "main.toml", ("must not be empty",)),
        ({"main.toml": 'include = ["main.toml"]'}, "main.toml", ("main.toml -> main.toml",)),
        (
            {
                "main.toml": 'include = ["a.toml"]',
                "a.toml": 'include = ["b.toml"]',
                "b.toml": 'include = ["a.toml"]',
            },
            "b.toml",
            ("main.toml -> a.toml -> b.toml -> a.toml",),
        ),
        ({"main.toml": 'include = ["a.toml"]', "a.toml": "mode ="}, "a.toml", ("mode: ",)),
        ({"main.toml": 'include = ["a.toml"]', "a.toml": "mood = 3"}, "a.toml", ("mood: unknown key",)),
        (
            {"main.toml": 'mode = "observe"\ninclude = ["a.toml"]', "a.toml": 'mode = "enforce"'},
            "main.toml",
            ("mode: a.toml:1 sets this too",),
        ),
        (
            {
                "main.toml": 'include = ["a.toml", "b.toml"]',
                "a.toml": "[activity.load]\npercent = 3",
                "b.toml": "[activity.load]\npercent = 3",
            },
            "b.toml",
            ("activity.load.percent: a.toml:2 sets this too",),
        ),
        (
            {"main.toml": 'include = ["a.toml"]\n[sleep]\nx = 1', "a.toml": RULE.format(1)},
            "main.toml",
            ("sleep: a.toml:1 sets this too",),
        ),
        (
            {"main.toml": 'include = ["a.toml"]\n' + RULE.format(1) + "x = 1", "a.toml": RULE.format(1)},
            "main.toml",
            ("sleep[2].x: unknown key",),
        ),
        (
            {"main.toml": 'include = ["a.toml"]\n' + RULE.format(1), "a.toml": RULE.format(1) + "x = 1"},
            "a.toml",
            ("sleep[1].x: unknown key",),
        ),
        (
            {
                "main.toml": 'include = ["a.toml"]\n[clients]\nevery = "5s"',
                "a.toml": '[clients]\ntimeout = "9s"',
            },
            "a.toml",
            ("clients.timeout: ",),
        ),
    ],
)
def test_what_is_wrong_with_several_files(
    directory: Path, files: FILES, file: str, texts: tuple[str, ...]
) -> None:
    (fault,) = faults(directory, files)
    assert fault.startswith(f"{file}:")
    for text in texts:
        assert text in fault


MARK = "tk5ecret"
NO_CONFIGURATION = {
    "passwords": f"root:$6${MARK}:19000:0:99999:7:::\nhttp:!*{MARK}:19000::::::\n",
    "private key": f"-----BEGIN PRIVATE KEY-----\n{MARK}MIIEvQ==\n{MARK}==\n-----END PRIVATE KEY-----\n",
    "token": f"{MARK}\n",
    "two words": f"{MARK} {MARK}",
    "shell variables": f"export PASS={MARK}\nHOST={MARK}\n",
    "ini file": f"[client]\nhost = localhost\nuser = debian\npassword = {MARK}\n",
    "ini file with one quotation mark": f'[client]\npassword = "{MARK}\n',
    "netrc": f"machine example.org login me password {MARK}\n",
    "YAML": f"password: {MARK}\nlist:\n  - {MARK}\n",
    "JSON": f'{{"password": "{MARK}"}}\n',
    "XML": f"<?xml version='1.0'?><a>{MARK}</a>\n",
    "escapes": f'a = "{MARK}\\q"\n',
    "a list": f"[\n{MARK},\n]\n",
    "a password that is an option": f"[mqtt]\npassword = {MARK}\n",
    "a password in place of its file": f"[mqtt]\npassword_file = {MARK}\n",
    "a password as a path": f'[mqtt]\nbroker = "mqtt://b"\nuser = "u"\npassword_file = "{MARK}"\n',
    "a value that is left over": f'[mqtt]\nuser = "u"\npass = "{MARK}" {MARK}\n',
}


@pytest.mark.parametrize("text", NO_CONFIGURATION.values(), ids=NO_CONFIGURATION)
def test_an_error_repeats_nothing_of_a_file_that_is_no_configuration(directory: Path, text: str) -> None:
    lines = faults(directory, {"main.toml": 'include = ["other"]', "other": text})
    assert all(line.startswith("other:") and "; " in line for line in lines)
    assert MARK not in "".join(lines)


def test_all_errors_of_all_files_in_one_run(directory: Path) -> None:
    (directory / "a.toml").touch()
    (directory / "a.toml").chmod(0o666)
    lines = faults(
        directory,
        {"main.toml": 'include = ["a.toml", "none.toml"]\nmode = 3', "a.toml": "mood = 3\n[activity.lod]"},
    )
    files = sorted(line.partition(":")[0] for line in lines)
    assert files == ["a.toml", "a.toml", "a.toml", "main.toml", "main.toml"]
    assert "chmod o-w" in lines[0]


def test_what_is_no_file(directory: Path) -> None:
    (directory / "sub").mkdir()
    os.mkfifo(directory / "fifo")
    (directory / "loop").symlink_to("loop")
    (directory / "dangling").symlink_to("nowhere")
    for name in ("sub", "fifo", "loop", "dangling", ".", "/", "/dev/null", "main.toml/x", "~/a.toml"):
        (fault,) = faults(directory, {"main.toml": f'include = ["{name}"]'})
        assert fault.startswith("main.toml:1: include: "), name
        assert "; " in fault
        assert ("does not exist" in fault) is (name in {"dangling", "main.toml/x", "~/a.toml"}), fault


def test_a_chain_of_files_has_an_end(directory: Path) -> None:
    chain = {f"{number}.toml": f'include = ["{number + 1}.toml"]' for number in range(500)}
    (fault,) = faults(directory, {**chain, "main.toml": 'include = ["0.toml"]'})
    assert "one file" in fault.partition("; ")[2]


@pytest.mark.parametrize("name", ["n" * 300, f"{'d' * 300}/a.toml", "closed/a.toml", "closed/deep/a.toml"])
def test_a_path_that_cannot_be_looked_at_is_an_error(
    name: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def stat_of_a_user(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if "closed" in path.parts:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat_of_a_user)
    (fault,) = faults(directory, {"main.toml": f'include = ["{name}"]'})
    assert fault.startswith("main.toml:1: include: ")
    assert ("chgrp powerd" in fault) is name.startswith("closed")


def test_a_file_that_disappears_meanwhile_is_an_error(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    monkeypatch.setattr(include, "SHARED_DIRECTORIES", ())
    (fault,) = faults(directory, {"main.toml": 'include = ["a.toml"]'})
    assert fault.startswith("main.toml:1: include: ")
