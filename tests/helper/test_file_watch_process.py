"""The helper that watches files as a process: which requests it executes, and how long it stays."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helper.helper_process import HelperProcess
from rig.wait import until

from powerd.disks.model import DiskId
from powerd.helper.dispatcher import Dispatcher
from powerd.helper.file_watch import FileWatch
from powerd.helper.protocol.messages import ReadFiles
from powerd.helper.server import HelperServer
from powerd.linux.helper_client import send_request
from powerd.linux.unix_sockets import listen_unix

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.geteuid() != 0, reason="takes root"),
]
REQUEST = """\
import asyncio, sys
from pathlib import Path
from powerd.helper.protocol.messages import ReadFiles
from powerd.linux.helper_client import send_request
asyncio.run(send_request(ReadFiles(("ata-SDA",)), Path(sys.argv[1])))
"""


def test_each_helper_executes_its_own_requests_only() -> None:
    with HelperProcess("--files") as helper:
        assert helper.request(request="read-files", disks=["ata-SDA"], standby=[])["response"] == "files"
        assert "send it to powerd-helper" in helper.request(request="read-alarm")["message"]
        assert not any('"response": "files"' in line for line in helper.log())
    with HelperProcess() as helper:
        assert (
            "send it to powerd-files" in helper.request(request="read-files", disks=[], standby=[])["message"]
        )


def test_it_ends_after_the_process_that_has_sent_the_request() -> None:
    with HelperProcess("--files", "--idle", "3") as helper:
        argv = [sys.executable, "-c", REQUEST, str(helper.socket)]
        subprocess.run(argv, check=True)
        until(lambda: helper.process.poll() == 0, "it ends")


def test_it_stays_with_the_process_until_that_names_no_disk(tmp_path: Path) -> None:
    at = tmp_path / "socket"

    async def main() -> None:
        with listen_unix(at) as listener:
            dispatcher = Dispatcher(file_watch=FileWatch(tmp_path))
            server = HelperServer(listener, dispatcher, frozenset({os.geteuid()}), idle=0.01)
            running = asyncio.ensure_future(server.run())
            await send_request(ReadFiles((DiskId("ata-SDA"),)), at)
            done, _ = await asyncio.wait({running}, timeout=0.1)
            assert not done
            await send_request(ReadFiles(()), at)
            await asyncio.wait_for(running, 60)

    asyncio.run(main())
