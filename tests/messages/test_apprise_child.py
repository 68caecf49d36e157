"""Messages by the real Apprise, to a real server on the loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from socket import gethostname

import pytest
from ui.statuses import HOSTILE_NAME

from powerd.messages.apprise_child import LogMemory

pytestmark = pytest.mark.process
BODY = "8 of its sectors cannot be read"
SECRET = "tk_very-secret"  # noqa: S105 - a secret of these tests alone


class Inbox(ThreadingHTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.got: list[dict[str, object]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """Takes everything, except what is sent to /forbidden."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Inbox)
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        forbidden = self.path.endswith("/forbidden")
        if not forbidden:
            self.server.got.append(document)
        self.send_response(403 if forbidden else 200)
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


def send(*urls: str, hide: bool = False, bodies: Sequence[str] = (BODY,)) -> subprocess.CompletedProcess[str]:
    messages = [{"urls": urls, "title": "sda: finding", "body": body, "severity": "alarm"} for body in bodies]
    hidden = (
        "import sys; sys.modules['apprise'] = None; from powerd.messages.apprise_child import "
        "main; sys.exit(main())"
    )
    how = ("-c", hidden) if hide else ("-m", "powerd.messages.apprise_child")
    return subprocess.run(
        [sys.executable, "-I", *how],
        input=json.dumps({"messages": messages}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


needs_apprise = pytest.mark.skipif(find_spec("apprise") is None, reason="pip install 'powerd[notify]'")


@needs_apprise
def test_each_result_has_its_error_without_the_secret_and_the_others_arrive(inbox: Inbox) -> None:
    """One process for all of it, because Apprise takes a second to load."""
    port = inbox.server_address[1]
    bodies = [BODY, "second", HOSTILE_NAME]
    refused, unknown = f"json://user:{SECRET}@127.0.0.1:9/{SECRET}", f"nonsense://{SECRET}"
    done = send(
        refused,
        unknown,
        f"json://127.0.0.1:{port}/topic",
        f"json://127.0.0.1:{port}/{SECRET}/forbidden",
        bodies=bodies,
    )
    assert (done.returncode, done.stderr) == (0, "")
    row = [
        "the connection was refused",
        "Apprise does not know this kind of URL, or it is incomplete",
        "",
        "it answers with the status 403",
    ]
    assert json.loads(done.stdout) == [row] * 3
    assert SECRET not in done.stdout
    title = f"{gethostname()}: sda: finding"
    assert [(report["title"], report["message"], report["type"]) for report in inbox.got][:2] == [
        (title, BODY, "failure"),
        (title, "second", "failure"),
    ]
    assert len(inbox.got) == 3


def test_without_apprise_the_remedy_is_printed() -> None:
    done = send("json://127.0.0.1:9/", hide=True)
    assert done.returncode == 1
    assert "pip install 'powerd[notify]'" in done.stderr


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        (f"Max retries exceeded with url: /{SECRET} (Caused by ... Name or service not known)", "resolved"),
        (f"Connection to {SECRET} timed out", "answer"),
        (f"Failed to send to {SECRET}: Bad Gateway, error=502.", "502"),
        (f"Failed: {SECRET}", "not sent"),
        ("", "not sent"),
    ],
)
def test_a_cause_has_no_part_of_the_log(log: str, cause: str) -> None:
    memory = LogMemory()
    memory.text = log
    assert cause in memory.cause()
    assert SECRET not in memory.cause()


@pytest.mark.parametrize(
    ("log", "concerns"),
    [
        ("Failed to send: Payload too large, error=413.", True),
        ("Failed to send: Unauthorized, error=401.", False),
        ("Connection refused", False),
    ],
)
def test_a_message_that_the_service_refuses_holds_up_no_other(log: str, *, concerns: bool) -> None:
    memory = LogMemory()
    memory.text = log
    assert memory.concerns_message() == concerns
