"""A daemon for the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ui.status_server_process import status_server


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket of a daemon with the status "family"."""
    path = tmp_path_factory.mktemp("daemon") / "powerd.sock"
    with status_server("family", path):
        yield str(path)
