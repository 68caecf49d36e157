"""What hdparm says: read strictly, so that nothing it may print is taken for sleep that is none."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from helper.fake_drives import IDENTITY, dump
from helper.loop_devices import LoopDevices
from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.model import PowerFeatures
from powerd.helper.disks import hdparm
from powerd.helper.disks.hdparm import power_features_of, power_of
from powerd.helper.errors import RefusalError
from powerd.helper.subprocess import CompletedTool

WELL: Final = PowerFeatures(apm=254, apm_supported=True, epc_enabled=False)


def hdparm_output(value: str, registers: str = "", warning: str = "", status: int = 0) -> CompletedTool:
    err = warning + (f"      ATA_16 {registers} lbal=00 lbam=00 lbah=00 dev=40\n" if registers else "")
    return CompletedTool(status, f"\n/dev/sda:\n drive state is:  {value}\n", err)


def registers(status: int, count: int) -> str:
    return f"stat={status:02x} err=00 nsect={count:02x}"


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("active/idle", "active"),
        ("idle", "active"),
        ("standby", "standby"),
        ("sleeping", "sleeping"),
        ("NVcache_spindown", "standby"),
        ("NVcache_spinup", "active"),
        ("unknown", "unknown"),
        ("Standby", "unknown"),
        ("standby ", "unknown"),
        ("something new", "unknown"),
    ],
)
def test_words_without_registers(value: str, state: str) -> None:
    assert power_of(hdparm_output(value)) == state


@pytest.mark.parametrize(
    ("count", "state"),
    [
        *((0x00, "standby"), (0x01, "standby"), (0x40, "standby"), (0x41, "active"), (0x80, "active")),
        *((0x81, "active"), (0x82, "active"), (0x83, "active"), (0xFF, "active"), (0x42, "unknown")),
    ],
)
def test_registers_are_what_counts(count: int, state: str) -> None:
    for value in ("unknown", "standby", "active/idle"):
        assert power_of(hdparm_output(value, registers(0x50, count))) == state


@given(st.integers(0, 255), st.integers(0, 255))
def test_without_drdy_nothing_is_known(status: int, count: int) -> None:
    if not status & 0x40:
        assert power_of(hdparm_output("standby", registers(status, count))) == "unknown"


@pytest.mark.parametrize("kind", ["bad/missing", "missing", "questionable"])
def test_sense_data_that_hdparm_doubts(kind: str) -> None:
    warning = f"SG_IO: {kind} sense data, sb[]:  70 00 05 00 00 00 00 0a\n"
    assert power_of(hdparm_output("standby", "", warning)) == "unknown"
    assert power_of(hdparm_output("standby", registers(0x50, 0), warning)) == "unknown"


@pytest.mark.parametrize(
    ("sense", "state"),
    [
        ("f0 00 01 00 50 00 ff 0a", "active"),
        ("f0 00 01 00 50 40 00 0a", "standby"),
        ("f0 00 01 00 50 40 ff 0a 00 00 78 00 00 1d 00 00", "active"),
        ("f0 00 01 00 50 40 80 0a 00 00 00 00 00 1d 00 00", "active"),
        ("f1 00 00 00 50 40 00 0a 00 00 00 00 00 00 00 00", "standby"),
        # no DRDY, no valid registers, another meaning, too short
        ("f0 00 01 00 10 40 00 0a 00 00 00 00 00 1d 00 00", "unknown"),
        ("70 00 01 00 50 40 00 0a 00 00 00 00 00 1d 00 00", "unknown"),
        ("f0 00 05 00 50 40 00 0a 00 00 00 00 20 00 00 00", "unknown"),
        ("f0 00 01 00 50 40 00 0a 00 00 00 00 5d 00 00 00", "unknown"),
        ("f0 00 01 00 50", "unknown"),
    ],
)
@pytest.mark.parametrize("value", ["standby", "unknown", "active/idle"])
def test_fixed_format_sense_data_hold_the_registers(value: str, sense: str, state: str) -> None:
    """hdparm takes the descriptor format only, and reads zeroes otherwise."""
    warning = f"SG_IO: bad/missing sense data, sb[]:  {sense}\n"
    assert power_of(hdparm_output(value, "", warning)) == state
    assert power_of(hdparm_output(value, registers(0, 0), warning)) == state


@pytest.mark.parametrize("bridge", ["jmicron", "cypress", "sunplus"])
def test_a_bridge_of_a_patched_hdparm_says_nothing_without_registers(bridge: str) -> None:
    line = f"APT: Found supported device {bridge}\n"
    answer = hdparm_output("standby")
    assert power_of(answer._replace(out=line + answer.out)) == "unknown"
    assert power_of(answer._replace(err=line)) == "unknown"
    whole = hdparm_output("standby", registers(0x50, 0))
    assert power_of(whole._replace(out=line + whole.out)) == "standby"
    assert power_of(answer._replace(out="APT: Unsupported device\n" + answer.out)) == "standby"


def test_the_last_registers_are_the_answer_s() -> None:
    """The first command failed, and hdparm tried the older one."""
    first = "      ATA_16 stat=51 err=04 nsect=00 lbal=00 lbam=00 lbah=00 dev=40\n"
    assert power_of(hdparm_output("active/idle", registers(0x50, 0xFF), first)) == "active"


@pytest.mark.parametrize(
    "out", ["", " drive state is:", "drive state is:  standby", " drive state is:  standby\n" * 2]
)
def test_no_state_is_none(out: str) -> None:
    with pytest.raises(RefusalError, match="hdparm -C "):
        power_of(CompletedTool(0, out, ""))


def test_a_failure_is_hdparm_s_own_last_words() -> None:
    failed = CompletedTool(
        5, "\n/dev/sda:\n drive state is:  standby\n", "one\n HDIO_DRIVE_CMD failed: I/O error\n\n"
    )
    with pytest.raises(RefusalError, match=r"HDIO_DRIVE_CMD failed: I/O error$"):
        hdparm.require_success(failed, "-y")
    with pytest.raises(RefusalError, match=r"^hdparm -y .*: exit status -9$"):
        hdparm.require_success(CompletedTool(-9, "", ""), "-y")


def test_a_failed_question_is_reported_by_its_errno() -> None:
    """Its last words are not for people, as it is asked to be verbose; it exits with an errno."""
    failed = CompletedTool(5, "\n/dev/sda:\n drive state is:  standby\n", "Trying legacy HDIO_DRIVE_CMD\n")
    with pytest.raises(RefusalError, match=r"^hdparm -C .*: Input/output error$"):
        power_of(failed)
    with pytest.raises(RefusalError, match=r"^hdparm -C .*: exit status -9$"):
        power_of(CompletedTool(-9, "", ""))


@given(st.integers(0, 1), st.text(), st.text())
def test_no_output_upsets_the_parsers(status: int, out: str, err: str) -> None:
    for parse in (power_of, lambda done: power_features_of(done, "-B")):
        try:
            assert parse(CompletedTool(status, out, err)) in {"active", "standby", "sleeping", "unknown"}
        except RefusalError as error:
            assert str(error)  # noqa: PT017 - a refusal is one outcome of two


def identity(**words: int) -> PowerFeatures:
    changed = {int(token.removeprefix("w")): value for token, value in words.items()}
    return power_features_of(
        CompletedTool(0, "\n/dev/sda:\n" + dump({**IDENTITY, **changed}), ""), "--Istdout"
    )


def test_identities() -> None:
    assert identity() == WELL
    assert identity(w91=0x80FE) == WELL
    assert identity(w86=0xB401) == replace(WELL, apm=None)
    assert identity(w83=0x7D01) == replace(WELL, apm=None, apm_supported=False)
    assert identity(w83=0xFD09) == replace(WELL, apm=None, apm_supported=False)
    assert identity(w91=0xFF) == identity(w91=0) == replace(WELL, apm=None)
    assert identity(w119=0x4080, w120=0x4080) == replace(WELL, epc_enabled=True)
    assert identity(w119=0x4080) == identity(w119=0x0080, w120=0x4080) == WELL
    assert identity(w255=0) == WELL


def test_a_set_level_is_printed_besides() -> None:
    out = "\n/dev/sda:\n setting Advanced Power Management level to 0x80 (128)\n APM_level\t= 128\n"
    done = CompletedTool(0, out + dump({**IDENTITY, 91: 128}), "")
    assert power_features_of(done, "-B") == replace(WELL, apm=128)


@pytest.mark.parametrize(
    "out",
    [
        "\n/dev/sda:\n",
        dump({}),
        dump(IDENTITY)[:-41],
        dump(IDENTITY) * 2,
        dump(IDENTITY).replace("2f00", "2f01"),
    ],
)
def test_what_is_no_identity(out: str) -> None:
    with pytest.raises(RefusalError, match=r"identify.*: cannot"):
        power_features_of(CompletedTool(0, out, "cannot\n"), "--Istdout")


RECORDED: Final = Path(__file__).parents[1] / "recorded"


def test_recorded_power() -> None:
    """hdparm 9.65 of Debian 12, before a SATA disk that spins."""
    out, err = ((RECORDED / f"hdparm-check-power.{kind}").read_text() for kind in ("out", "err"))
    assert power_of(CompletedTool(0, out, err)) == "active"
    assert power_of(CompletedTool(0, out, err.replace("nsect=ff", "nsect=00"))) == "standby"
    assert power_of(CompletedTool(0, out, "")) == "active"


def test_recorded_identity() -> None:
    done = CompletedTool(0, (RECORDED / "hdparm-set-apm.txt").read_text(), "")
    assert power_features_of(done, "-B") == replace(WELL, apm=128)


@pytest.mark.lan
def test_the_real_hdparm_on_what_is_no_drive(tmp_path: Path) -> None:
    """Its messages, its exit status, and that it accepts the arguments."""
    with LoopDevices(tmp_path, 1) as loops:
        (device,) = loops.devices

        def run(argv: list[str]) -> CompletedTool:
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            return CompletedTool(done.returncode, done.stdout, done.stderr)

        with pytest.raises(RefusalError, match=r"hdparm -C .*: Invalid argument"):
            power_of(run(hdparm.read_power(device)))
        for argv, answer in (
            (hdparm.spin_down(device), "-y"),
            (hdparm.set_timer(device, 120), "-S"),
        ):
            with pytest.raises(RefusalError, match=f"hdparm {answer} .*: HDIO_DRIVE_CMD"):
                hdparm.require_success(run(argv), answer)
        for argv in (hdparm.set_apm(device, 128), hdparm.identify(device)):
            with pytest.raises(RefusalError, match=r"hdparm -B |identify"):
                power_features_of(run(argv), "-B")
