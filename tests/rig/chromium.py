"""Debian's Chromium, driven by the DevTools protocol over a pipe, so that it needs no port and no library.

The protocol: https://chromedevtools.github.io/devtools-protocol/. Messages are JSON, each ended by a NUL.
"""

from __future__ import annotations

import base64
import json
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from rig.lan import stop
from rig.wait import until

if TYPE_CHECKING:
    from types import TracebackType

    from rig.lan import Namespace

PROGRAM: Final = "chromium-headless-shell"
"""The Debian package has this name, too; a user's Chromium brings a desktop's libraries."""
_WITHIN: Final = 120.0
_SERVER_ERROR: Final = -32000
"""The code of errors that depend on the state of the page, as "Inspected target navigated or closed"."""
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--mute-audio",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Chromium:
    """A running Chromium with one page.

    Args:
        inside: the namespace that it runs in.
        scratch: a directory for its profile and its log.
    """

    def __init__(self, inside: Namespace, scratch: Path) -> None:
        self._inside = inside
        self._scratch = scratch
        self._received = b""
        self._last_id = 0
        self._session = ""
        self.problems: list[str] = []
        """Errors of scripts, violations of the page's policy, and failed requests, since the last clear()."""

    def __enter__(self) -> Self:
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        # Chromium reads from 3 and writes to 4.
        shell = f'exec 3<&{commands} 4>&{answers}; exec {PROGRAM} "$@"'
        profile = f"--user-data-dir={self._scratch / 'profile'}"
        with (self._scratch / "chromium.log").open("wb") as log:
            self._process = self._inside.start(
                *("bash", "-c", shell, "chromium", *_FLAGS, profile, "about:blank"),
                log=log,
                pass_fds=(commands, answers),
            )
        os.close(commands)
        os.close(answers)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._write)
        os.close(self._read)
        stop(self._process)

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """The result of a command of the protocol.

        Raises:
            ConnectionError: the page was replaced meanwhile; until() asks the new one.
        """
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._last_id:
            self._note(answer)
        if answer.get("error", {}).get("code") == _SERVER_ERROR:
            raise ConnectionError(f"{method}: {answer['error']}")
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._read], [], [], _WITHIN)
            assert ready, "Chromium does not answer"
            received = os.read(self._read, 1 << 20)
            assert received, f"Chromium has ended:\n{(self._scratch / 'chromium.log').read_text()}"
            self._received += received
        text, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = event["params"]["exceptionDetails"]
                self.problems.append(f"{details['text']} {details.get('exception', {}).get('description')}")
            case "Log.entryAdded":
                entry = event["params"]["entry"]
                if entry["level"] in {"error", "warning"}:
                    self.problems.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")

    def open(self, url: str) -> None:
        """Load a page and wait until it is complete."""
        result = self.call("Page.navigate", url=url)
        assert "errorText" not in result, result
        self.until(
            "document.readyState === 'complete' && location.href !== 'about:blank'", f"{url} is loaded"
        )

    def resize(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """The size of the page, that of a phone or a desktop, and the colours that the reader prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever JSON there is
        """The value of a JavaScript expression in the page; a promise is awaited."""
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
            allowUnsafeEvalBlockedByCSP=False,
        )
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def until(self, expression: str, what: str, within: float = _WITHIN) -> Any:  # noqa: ANN401 - as evaluate()
        """Wait until an expression is true; its value is returned."""
        value = f"((value) => value instanceof Node || value)({expression})"
        return until(lambda: self.evaluate(value), what, within)

    def click(self, selector: str, text: str | None = None) -> None:
        """Click on the one element that fits, and has this text."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})]"
        if text is not None:
            found += f".filter((each) => each.textContent.trim() === {json.dumps(text)})"
        script = (
            f"(() => {{ const all = {found}; if (all.length === 1) all[0].click(); return all.length; }})()"
        )
        assert (count := self.evaluate(script)) == 1, f"{count} elements fit {selector} {text or ''}"

    def screenshot(self, file: Path) -> None:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))
