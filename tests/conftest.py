"""Hypothesis profiles, how xdist distributes tests, the marker ``process``, and a private system D-Bus."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import hypothesis
import pytest
from linux.private_bus import PrivateBus, has_dbusmock
from rig.coverage import save_coverage, without_coverage

import powerd

# The time of an example depends on the machine's load; tests/benchmarks/ measures time.
# With CI set, every run tries the same examples; on a developer's machine they are random.
hypothesis.settings.register_profile(
    "powerd",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# make check: a quarter of the examples, here and in rig/examples.py.
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("powerd"), max_examples=25)
hypothesis.settings.load_profile("powerd")

# A shell starts commands in the background with signals ignored, and so does nohup(1). Children inherit what
# is ignored, but no handler.
for _number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

os.environ["COLUMNS"] = "80"  # the output of commands is as wide as the terminal in which the tests run
os.umask(0o022)  # as systemd starts services

TESTS: Final = Path(__file__).parent
SPLIT: Final = ("simulation", "core/test_decide", "disks/policy/test_laws", "smart/test_policy_laws")
"""Files with tests of 2 to 30 s each: every test of them is scheduled by itself, all others file by file."""
UNCOUNTED: Final = (
    *SPLIT,
    "presence/leases/test_format_contract.py::test_hostile_text",
    "test_imports",
    "test_vocabulary",
)
"""What coverage does not count: it runs the same lines thousands of times; the last two only read them."""
LONG_IN_VM: Final = ("disks_spindown", "alarm", "wakes", "activity", "smart", "package", "faults", "awake")
FIRST: Final = ("lan", "browser", *SPLIT, "contrib", *(f"vm/test_{name}." for name in LONG_IN_VM))
"""The longest tests start first, so that no worker runs one of them alone at the end."""
ONE_TRACE: Final = ("attribution/test_scenarios.py", "helper/disks/test_trace_recorder.py")
"""Their trace is that of the machine, of which there is one."""
STARTS: Final = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"}
"""Audit events (PEP 578) of a process that starts another."""


class _Starts:
    """The processes that this one has started since the beginning of the test."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        sys.addaudithook(self.note)

    def note(self, event: str, args: tuple[object, ...]) -> None:
        if event in STARTS:
            self.seen.append(f"{event} {args[:2]}")


_starts: Final = _Starts()


def _group(item: pytest.Item) -> str:
    """The tests that one worker runs, one after the other."""
    place = str(item.path.relative_to(TESTS))
    if place in ONE_TRACE:
        return "trace"
    if place.startswith("lan"):
        return "lan"  # its scenarios run at the same time, in one process: see tests/lan/conftest.py
    return item.nodeid if place.startswith(SPLIT) else place


def _is_property(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and getattr(item.obj, "is_hypothesis_test", False)


def _rank(item: pytest.Item) -> int:
    place = str(item.path.relative_to(TESTS))
    return next((rank for rank, first in enumerate(FIRST) if place.startswith(first)), len(FIRST))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without what takes half the time of it: the tracer of coverage, and the garbage collector.

    Coverage counts the import of each module of the package; what is collected is not garbage until the end.
    """
    if sys.gettrace() is not None:
        for module in pkgutil.walk_packages(powerd.__path__, "powerd."):
            importlib.import_module(module.name)
    gc.disable()
    try:
        with without_coverage():
            return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before the hook of xdist that reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``lan`` for everybody but root; group and order the tests for xdist's loadgroup."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
        if os.geteuid() and item.get_closest_marker("lan"):
            item.add_marker(
                pytest.mark.skip(reason="makes network namespaces: run as root, e.g. sudo make test")
            )
    items.sort(key=_rank)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    _starts.seen.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Fail a test that has started a process without a marker for it: `make check` is to leave it out."""
    yield
    marked = any(item.get_closest_marker(name) for name in ("process", "lan", "vm"))
    if _starts.seen and not marked:
        pytest.fail(f"mark it with pytest.mark.process: it starts {_starts.seen[0]}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Suspend the tracer of coverage for UNCOUNTED and for property tests.

    They take up to three times as long if each line is counted, and what only a random example runs is not
    tested in every run.
    """
    uncounted = f"{item.path.relative_to(TESTS)}::{item.name}".startswith(UNCOUNTED)
    with without_coverage(unless=not (uncounted or _is_property(item))):
        return (yield)


def pytest_sessionfinish() -> None:
    """Write the data of coverage here: a worker that takes 10 s to end, as on a busy machine, is killed."""
    save_coverage()


@pytest.fixture
def small_filesystem(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounts a filesystem: needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.fixture(params=[40, 80, 200])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The width of the terminal: a telephone, the default, and a wide window."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    number: int = request.param
    return number


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateBus]:
    """A bus without clients, which is the system bus for this process and its children."""
    if not has_dbusmock():
        pytest.skip("python-dbusmock is not installed: apt-get install python3-dbusmock")
    one = PrivateBus(tmp_path)
    one.start()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", one.address)
    yield one
    one.end()
