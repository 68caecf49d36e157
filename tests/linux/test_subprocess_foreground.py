"""A command in the foreground, as a shell starts one."""

from __future__ import annotations

import signal

import pytest
from rig.wait import until

from powerd.linux.subprocess import ForegroundProcess

pytestmark = pytest.mark.process


def ended(child: ForegroundProcess) -> int:
    until(lambda: child.exit_code() is not None, "the command ends", every=0.01)
    code = child.exit_code()
    assert code is not None
    return code


@pytest.mark.parametrize(("script", "code"), [("true", 0), ("exit 7", 7), ("kill -TERM $$", 143)])
def test_its_exit_code_follows_the_shell_convention(script: str, code: int) -> None:
    assert ended(ForegroundProcess(["sh", "-c", script], ())) == code


def test_what_is_not_there_cannot_be_started() -> None:
    with pytest.raises(FileNotFoundError):
        ForegroundProcess(["/nonexistent/command"], ())


def test_signals_are_passed_on_and_never_to_one_that_is_gone() -> None:
    child = ForegroundProcess(["sleep", "60"], ())
    assert child.exit_code() is None
    child.send_signal(signal.SIGTERM)
    assert ended(child) == 143
    child.send_signal(signal.SIGTERM)


def test_it_has_the_signals_that_a_command_expects() -> None:
    """Python ignores SIGPIPE, and a command that inherited that would write into a closed pipe for ever."""
    assert ended(ForegroundProcess(["sh", "-c", "kill -PIPE $$; exit 3"], ())) == 128 + signal.SIGPIPE
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        child = ForegroundProcess(["sh", "-c", "kill -TERM $$; exit 3"], before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert ended(child) == 128 + signal.SIGTERM
