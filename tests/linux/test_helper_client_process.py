"""The helper as the daemon's own child: there when asked, gone with it, there again when it was killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.wait import until

from powerd.attribution.model import FileReading
from powerd.disks.model import DiskId
from powerd.linux import helper_client
from powerd.linux.helper_client import HELPER_SOCKET, HelperClient, SpawnedHelper, helper_for
from powerd.linux.values import HostError

pytestmark = pytest.mark.process


@pytest.fixture
def helper(tmp_path: Path) -> Iterator[SpawnedHelper]:
    helper = SpawnedHelper(tmp_path / "helper.sock")
    yield helper
    helper.close()


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_it_is_started_when_it_is_asked_and_ends_with_the_daemon(helper: SpawnedHelper) -> None:
    before = children()

    with asyncio.Runner() as runner:
        with pytest.raises(HostError, match="nope"):
            runner.run(helper.read_card("nope"))
        (child,) = set(children()) - set(before)
        with pytest.raises(HostError, match="nope"):
            runner.run(helper.read_card("nope"))
        assert set(children()) - set(before) == {child}
        subprocess.run(["kill", "-KILL", child], check=True)
        until(lambda: Path(f"/proc/{child}/stat").read_text().split()[2] == "Z", "it is dead")
        with pytest.raises(HostError, match="nope"):
            runner.run(helper.arm_card("nope"))
    helper.close()
    assert children() == before
    assert not helper.socket_path.exists()
    helper.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to watch files")
def test_files_are_watched_by_a_helper_of_their_own(helper: SpawnedHelper) -> None:
    before = children()
    with asyncio.Runner() as runner:
        for _ in range(2):
            assert runner.run(helper.read_files((DiskId("ata-NONE"),))) == FileReading()
            (child,) = set(children()) - set(before)
        assert "--files" in Path(f"/proc/{child}/cmdline").read_text()
        with pytest.raises(HostError, match="nope"):
            runner.run(helper.read_card("nope"))
        assert len(set(children()) - set(before)) == 2
    helper.close()
    assert children() == before


def test_a_helper_that_does_not_start_is_reported(tmp_path: Path) -> None:
    helper = SpawnedHelper(tmp_path / "no such directory" / "helper.sock")
    with pytest.raises(HostError, match=r"does not start.* -m powerd\.helper "):
        asyncio.run(helper.read_alarm())


def test_the_one_behind_the_socket_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    daemon = tmp_path / "powerd.sock"
    (tmp_path / "there").touch()
    monkeypatch.setattr(helper_client, "HELPER_SOCKET", tmp_path / "there")
    assert type(helper_for(daemon)) is HelperClient
    monkeypatch.setattr(helper_client, "HELPER_SOCKET", tmp_path / "not there")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    without_root = helper_for(daemon)
    assert (type(without_root), without_root.socket_path) == (HelperClient, HELPER_SOCKET)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    own = helper_for(daemon)
    assert (type(own), own.socket_path) == (SpawnedHelper, tmp_path / "helper.sock")
