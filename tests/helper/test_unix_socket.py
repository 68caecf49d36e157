"""The door: who may ask, what is taken over from a service manager, and where one of our own can be."""

from __future__ import annotations

import os
import pwd
import socket
import stat
from pathlib import Path

import pytest

from powerd.helper import unix_socket
from powerd.helper.errors import RefusalError


def test_root_and_the_named_user_are_admitted() -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    assert unix_socket.allowed_uids("nobody") == {0, os.geteuid(), nobody}
    assert unix_socket.allowed_uids("no-such-user") == {0, os.geteuid()}


def test_the_kernel_reports_the_peer() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert unix_socket.peer_of(here) == (os.getpid(), os.geteuid())


def test_nothing_is_taken_that_was_meant_for_another() -> None:
    assert unix_socket.inherited_listener({}) is None
    assert unix_socket.inherited_listener({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None


@pytest.mark.parametrize("count", ["0", "2", "x", ""])
def test_one_socket_is_wanted(count: str) -> None:
    with pytest.raises(RefusalError, match="exactly one socket"):
        unix_socket.inherited_listener({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})


def test_own_socket_is_open_to_its_group_only(tmp_path: Path) -> None:
    for mask in (0, 0o077):
        before = os.umask(mask)
        try:
            own = unix_socket.open_listener(tmp_path / "s", "no-such-group")
        finally:
            os.umask(before)
        with own:
            assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
        assert not (tmp_path / "s").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another group: run as root")
def test_own_socket_is_given_to_the_users_group(tmp_path: Path) -> None:
    with unix_socket.open_listener(tmp_path / "s", "daemon"):
        found = (tmp_path / "s").stat()
        assert (found.st_uid, found.st_gid) == (0, pwd.getpwnam("daemon").pw_gid)


def test_a_second_helper_reports_the_first(tmp_path: Path) -> None:
    with unix_socket.open_listener(tmp_path / "s", "x"):
        with pytest.raises(RefusalError, match="another helper is running on"):
            unix_socket.open_listener(tmp_path / "s", "x")
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(tmp_path / "s"))


def test_a_dead_helpers_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    unix_socket.open_listener(tmp_path / "s", "x").close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("data")
    with pytest.raises(RefusalError, match="the path is not a socket"):
        unix_socket.open_listener(tmp_path / "s", "x")
    assert (tmp_path / "s").read_text() == "data"


@pytest.mark.parametrize("path", ["/nonexistent/s", "/proc/s", "/" + "x" * 200])
def test_a_path_that_cannot_be_is_one_sentence(path: str) -> None:
    with pytest.raises(RefusalError, match=r"cannot listen on .*; name another path"):
        unix_socket.open_listener(Path(path), "x")
