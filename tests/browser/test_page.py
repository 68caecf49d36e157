"""The page in Debian's Chromium: live, operated, accessible. POWERD_SCREENSHOTS: a directory for pictures."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
from fakes.requests import TOKEN, FakeRequests
from rig.chromium import Chromium
from rig.daemon import NO_CHECKS, Daemon, SleepCommand
from rig.lan import Lan
from rig.namespace import inside
from rig.udp_listener import udp_listener
from ui.page_statuses import many_clients_and_disks
from ui.statuses import NOW
from ui.week import week

from powerd.config.http_options import HttpOptions
from powerd.disks.state import DisksReport
from powerd.linux.unix_sockets import listen_tcp
from powerd.ui.http.context import UiContext
from powerd.ui.http.lazy_server import LazyHttpServer

pytestmark = pytest.mark.lan
PAGE: Final = "http://127.0.0.1:8787/"
PHONE, DESKTOP = 390, 1280
FIRST_IS_ALARM: Final = """(() => {
    const alarm = document.querySelector("#main .notice"), box = alarm?.getBoundingClientRect();
    return Boolean(alarm) && document.getElementById("main").firstElementChild.contains(alarm)
        && box.top > 0 && box.top < 100 && box.right <= innerWidth; })()"""
BROKEN_WORDS: Final = """[...document.querySelectorAll(".nowrap, .state, b, button, code")]
    .filter((each) => each.offsetParent && !/\\s/.test(each.textContent.trim()))
    .filter((each) => each.getClientRects().length > 1)
    .map((each) => each.textContent)"""
OPENED_FROM: Final = 2
"""Index of the first variant with all details open."""
AXE: Final = """axe.run({ resultTypes: ["violations"] }).then((found) => [
    found.violations.map((each) => [each.id, each.nodes.map((node) => node.html)]), found.passes.length])"""
TOO_WIDE: Final = "document.documentElement.scrollWidth > innerWidth"


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    with Lan(tmp_path_factory.mktemp("lan"), 9) as lan:
        yield lan


@pytest.fixture(scope="module")
def chromium(lan: Lan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(lan.server.inside, tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture(autouse=True)
def no_problem(chromium: Chromium) -> Iterator[None]:
    """No error of a script, no violation of the policy, and no request without a response."""
    chromium.problems.clear()
    yield
    assert chromium.problems == []


@pytest.fixture(scope="module")
def daemon(lan: Lan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that wants to sleep: its only client, a TV, is off."""
    scratch = tmp_path_factory.mktemp("powerd")
    lan.join("pc").take(f"{lan.net}.3/24")
    leases, token = scratch / "dnsmasq.leases", scratch / "token"
    leases.write_text(f"0 02:77:00:00:00:aa {lan.net}.2 tv *\n")
    token.write_text(TOKEN)
    token.chmod(0o600)
    config = (
        f'mode = "enforce"\n[clients]\nleases = ["{leases}"]\nlearn = "0s"\nevery = "5s"\ntimeout = "1s"\n'
        f'absent_after = "5s"\n[[sleep]]\naction = "command"\ncommand = ["{SleepCommand(scratch).script}"]\n'
        'idle_for = "1s"\nwarn = "30min"\n[awake]\nafter_start = "0s"\nafter_resume = "0s"\n'
        f'{NO_CHECKS}[http]\nlisten = ["127.0.0.1:8787"]\ntoken_file = "{token}"\n'
    )
    with Daemon(lan.server.inside, scratch, config) as daemon:
        yield daemon


def log_in(chromium: Chromium, url: str = PAGE) -> None:
    """Present the token, by a form without the script."""
    chromium.open(url)
    chromium.evaluate(f"document.getElementById('secret').value = {json.dumps(TOKEN)}")
    chromium.click(".login button")
    chromium.until("document.querySelector('footer button')", "the page has its controls")


def shows(chromium: Chromium, text: str, *, no: bool = False) -> None:
    shown = f"document.body?.textContent.includes({json.dumps(text)})"
    chromium.until(
        f"{shown} === false" if no else shown, f"the page {'no longer shows' if no else 'shows'} {text!r}"
    )


def test_the_page_of_a_daemon_is_live_and_operates_it(chromium: Chromium, daemon: Daemon, lan: Lan) -> None:
    def request() -> Any:  # noqa: ANN401 - whatever JSON there is
        return daemon.status()["sleep_request"]

    chromium.resize(DESKTOP)
    log_in(chromium)
    chromium.evaluate("window.sameDocument = true")
    chromium.until("document.querySelector('h1').textContent === 'Warning'", "the warning is shown")
    countdown = "document.querySelector('.countdown').textContent"
    first = chromium.until(countdown, "there is a countdown")
    chromium.until(f"{countdown} && {countdown} !== {json.dumps(first)}", "the countdown ticks")

    chromium.click("button", "8 h")
    shows(chromium, "Kept awake until")
    chromium.until("document.querySelector('h1').textContent === 'Awake'", "the sleep is called off")
    (keep,) = daemon.status()["keep_awake"]
    assert "status page" in keep["because"]

    for label, now in (("Sleep when nothing needs it", False), ("Sleep now", True)):
        chromium.click("button", label)
        shows(chromium, "Sleep requested")
        assert request()["now"] is now
        chromium.click("button", "Cancel")
        shows(chromium, "Sleep requested", no=True)
        assert request() is None

    with udp_listener(next(host for host in lan.hosts if host.label == "pc"), 1) as received:
        chromium.click('[aria-label="Wake: tv"]')
        assert received()[0].data.endswith(bytes.fromhex("0277000000aa") * 16)

    chromium.click("button", "End")
    shows(chromium, "Kept awake until", no=True)
    assert daemon.status()["keep_awake"] == []
    assert chromium.evaluate("window.sameDocument"), "all that without loading the page again"


def test_an_alarm_comes_first(chromium: Chromium, daemon: Daemon) -> None:
    chromium.open(PAGE)
    config = daemon.config.read_text()
    daemon.configure("mode = sleepy\n")
    daemon.reload()
    chromium.until("document.title.startsWith('Warning: configuration')", "the title has the alarm")
    for width in (PHONE, DESKTOP):
        chromium.resize(width)
        chromium.until(FIRST_IS_ALARM, f"the alarm comes first at {width} px")
        keep_picture(chromium, f"alarm-{width}")
    daemon.configure(config)
    daemon.reload()
    chromium.until("!document.querySelector('.notice')", "the alarm is over")


def test_the_forms_work_without_the_script(chromium: Chromium, daemon: Daemon) -> None:
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open(PAGE)
        if not chromium.evaluate("document.querySelector('footer button') !== null"):
            log_in(chromium)
        chromium.click("button", "2 h")
        shows(chromium, "The server stays awake until")
        chromium.click("button", "End")
        shows(chromium, "The request to stay awake has ended")
        assert daemon.status()["keep_awake"] == []
        chromium.click("button", "Log out")
        chromium.until("document.querySelector('#secret')", "the page asks for the token")
    finally:
        chromium.call("Emulation.setScriptExecutionDisabled", value=False)


class PageServer:
    """A server of one Status, with a fake that records requests, inside a namespace."""

    def __init__(self) -> None:
        self.status = replace(many_clients_and_disks(), mode="enforce")
        self.requests = FakeRequests(token=TOKEN)

    def run(self, namespace: str, drive: Callable[[str], None]) -> None:
        """Call ``drive`` with the address of the page, in a thread, while the server runs."""

        async def no_poll() -> None:
            await asyncio.sleep(0)

        async def whole() -> None:
            listener = listen_tcp("127.0.0.1:0")
            context = UiContext(
                lambda: self.status,
                lambda: NOW,
                no_poll,
                no_poll,
                lambda: None,
                self.requests.requests(),
                recent_history=lambda: week(self.status.decision.part(DisksReport).disks[0].disk.id),
                http=lambda: HttpOptions(token_file="/etc/powerd/token"),  # noqa: S106 - a file name
            )
            server = LazyHttpServer([listener], context)
            await server.start()
            try:
                await asyncio.to_thread(drive, f"http://127.0.0.1:{listener.getsockname()[1]}/")
            finally:
                await server.close()

        with inside(namespace):
            asyncio.run(whole())


def test_the_controls_of_a_drive(chromium: Chromium, lan: Lan) -> None:
    server = PageServer()
    media, backup = (f"{place} (sd{letter})" for place, letter in (("/srv/media", "a"), ("/srv/backup", "b")))

    def drive(url: str) -> None:
        log_in(chromium, url)
        chromium.click("#alarms button", "Acknowledge")
        shows(chromium, f"Done: Acknowledge: {backup}.")
        for label in ("Spin down", "Check health", "Start long self-test"):
            chromium.click(f'[aria-label="{label}: {media}"]')
            shows(chromium, f"Done: {label}: {media}.")

    server.run(lan.server.inside.name, drive)
    assert [call[0] for call in server.requests.calls] == ["acknowledge", "spin down", "check", "test"]
    assert str(server.requests.calls[1][1]).endswith("-SDA")


def test_it_is_accessible_at_every_width_and_in_both_colours(chromium: Chromium, lan: Lan) -> None:
    server = PageServer()

    def drive(url: str) -> None:
        log_in(chromium, url)
        chromium.evaluate(axe())
        variants = ((PHONE, True), (DESKTOP, False), (PHONE, False), (DESKTOP, True))
        for n, (width, dark) in enumerate(variants):
            if n == OPENED_FROM:
                chromium.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            chromium.resize(width, dark=dark)
            keep_picture(chromium, f"page-{n}-{width}{'-dark' if dark else ''}")
            if n >= OPENED_FROM:
                violations, passed = chromium.evaluate(AXE)
                assert violations == []
                assert passed > 20, "axe-core has examined the page"
            assert not chromium.evaluate(TOO_WIDE), width
            assert chromium.evaluate(BROKEN_WORDS) == []

    server.run(lan.server.inside.name, drive)


def axe() -> str:
    """The source of axe-core, which the Makefile installs with a package that contains it."""
    package = find_spec("axe_playwright_python")
    assert package is not None, "axe-core is missing: make test installs it"
    return Path(str(package.origin)).with_name("axe.min.js").read_text()


def keep_picture(chromium: Chromium, name: str) -> None:
    """Store the whole page if somebody wants to see it."""
    if directory := os.environ.get("POWERD_SCREENSHOTS"):
        Path(directory).mkdir(exist_ok=True)
        chromium.screenshot(Path(directory) / f"{name}.png")
