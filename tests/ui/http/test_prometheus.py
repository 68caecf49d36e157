"""A real Prometheus server scrapes /metrics."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from ui.http.web_server import WebServer
from ui.statuses import HOSTILE_NAME, hostile

ADDRESS = "127." + ".".join(str(os.getpid() >> bits & 255) for bits in (16, 8, 0)) + ":9090"
"""A loopback address of this process alone."""
CONFIG = """\
global: {{scrape_interval: 100ms}}
scrape_configs:
  - job_name: powerd
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@asynccontextmanager
async def prometheus(scratch: Path, port: int) -> AsyncIterator[None]:
    """A Prometheus server that scrapes ``port``; it keeps its data in ``scratch``."""
    config = scratch / "prometheus.yml"
    config.write_text(CONFIG.format(port=port))
    process = await asyncio.create_subprocess_exec(
        *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={scratch / 'data'}"),
        f"--web.listen-address={ADDRESS}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def query(expression: str) -> list[dict[str, Any]]:
    """The vector of an expression, once it is not empty."""
    while True:
        try:
            text = await asyncio.to_thread(read, f"http://{ADDRESS}/api/v1/query?query={expression}")
        except OSError:
            text = "{}"
        if found := json.loads(text).get("data", {}).get("result"):
            rows: list[dict[str, Any]] = found
            return rows
        await asyncio.sleep(0.05)


def read(url: str) -> str:
    with urlopen(url, timeout=60) as response:  # noqa: S310 - the URL is this test's own
        text: str = response.read().decode()
        return text


@pytest.mark.process
def test_a_scrape(tmp_path: Path) -> None:
    web_server = WebServer(tmp_path / "s", status=hostile())

    async def scene() -> None:
        async with prometheus(tmp_path, web_server.port), asyncio.timeout(120):
            (up,) = await query('up{job="powerd"}==1')
            assert up["value"][1] == "1"
            (reason,) = await query("powerd_awake_reasons")
            assert reason["metric"]["subject"] == HOSTILE_NAME

    web_server.run(scene)
