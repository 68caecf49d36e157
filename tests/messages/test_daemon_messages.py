"""Messages of the whole daemon on virtual time: before a sleep, after it, and after a failed one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from test_daemon import NIGHTLY, DaemonScenario, run_daemon

from powerd.linux.values import ProcessResult

CONFIG = f"""{NIGHTLY}
[hooks]
alert = ["/usr/local/bin/notify"]
before_sleep = ["/bin/good-night"]
[messages]
events = ["warning", "woke", "could-not-sleep"]
"""


def events(h: DaemonScenario) -> list[str]:
    """The events of the messages that the hook has been given, among the other actions."""
    return [
        json.loads(str(call[-1], "utf-8"))["event"]
        if isinstance(call[-1], bytes) and call[1] == ("/usr/local/bin/notify",)
        else str(call[0])
        for call in h.host.calls
    ]


def test_a_warning_is_sent_before_the_sleep_and_the_wake_up_after_it() -> None:
    async def test(h: DaemonScenario) -> None:
        h.host.command_duration = 1.0
        await asyncio.sleep(900)
        await asyncio.sleep(60)
        assert events(h)[:5] == ["warning", "broadcast", "run", "logind", "woke"]

    run_daemon(test, CONFIG)


def test_what_a_failed_night_leaves_is_sent_as_soon_as_the_network_is_there(tmp_path: Path) -> None:
    async def first_boot(h: DaemonScenario) -> None:
        h.host.logind_error = "the kernel refuses"
        h.host.command_result = ProcessResult(1, "", "no network")
        await asyncio.sleep(3000)
        assert "could-not-sleep" in events(h)

    async def second_boot(h: DaemonScenario) -> None:
        await asyncio.sleep(120)
        assert events(h) == ["could-not-sleep"]

    run_daemon(first_boot, CONFIG, tmp_path)
    run_daemon(second_boot, CONFIG, tmp_path)


def test_after_a_power_off_the_start_is_reported_once(tmp_path: Path) -> None:
    async def evening(h: DaemonScenario) -> None:
        await asyncio.sleep(900)
        assert "logind" in events(h)

    async def morning(h: DaemonScenario) -> None:
        await asyncio.sleep(120)
        assert events(h) == ["woke"]

    async def restart(h: DaemonScenario) -> None:
        await asyncio.sleep(120)
        assert events(h) == []

    config = CONFIG.replace('"suspend"', '"poweroff"')
    run_daemon(evening, config, tmp_path, boot=1)
    run_daemon(morning, config, tmp_path, boot=2)
    run_daemon(restart, config, tmp_path, boot=2)
