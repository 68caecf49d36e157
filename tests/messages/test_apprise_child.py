"""One notification, by the real Apprise, to a real server on the loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.process


class Inbox(ThreadingHTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.got: list[dict[str, object]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Inbox)
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(*urls: str, hide: bool = False) -> subprocess.CompletedProcess[str]:
    notice = {
        "urls": urls,
        "title": "sda: alarm",
        "body": "8 of its sectors cannot be read",
        "severity": "alarm",
    }
    hidden = (
        "import sys; sys.modules['apprise'] = None; from powerd.messages.apprise_child import "
        "main; sys.exit(main())"
    )
    how = ("-c", hidden) if hide else ("-m", "powerd.messages.apprise_child")
    return subprocess.run(
        [sys.executable, "-I", *how],
        input=json.dumps(notice),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


needs_apprise = pytest.mark.skipif(find_spec("apprise") is None, reason="pip install 'powerd[notify]'")


@needs_apprise
def test_it_arrives(inbox: Inbox) -> None:
    done = send(f"json://127.0.0.1:{inbox.server_address[1]}/topic")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (report,) = inbox.got
    assert (report["title"], report["message"], report["type"]) == (
        "sda: alarm",
        "8 of its sectors cannot be read",
        "failure",
    )


@needs_apprise
def test_who_cannot_be_reached_is_named_without_the_secret_and_the_others_are(inbox: Inbox) -> None:
    inbox_url = f"json://127.0.0.1:{inbox.server_address[1]}/"
    done = send("json://user:secret@127.0.0.1:9/", "nonsense://secret", inbox_url)
    assert (done.returncode, done.stderr) == (1, "not sent to json://, nonsense://\n")
    assert len(inbox.got) == 1


def test_without_apprise_the_remedy_is_printed() -> None:
    done = send("json://127.0.0.1:9/", hide=True)
    assert (done.returncode, done.stderr) == (1, "Apprise is not installed: pip install 'powerd[notify]'\n")
