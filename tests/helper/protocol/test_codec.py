"""Requests and responses are parsed as they were encoded, and any other line is rejected."""

from __future__ import annotations

import json
from typing import Any, Final, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.attribution.model import (
    EventKind,
    FileAccess,
    FileReading,
    Operation,
    TracedProcess,
    TraceEvent,
    TraceReading,
)
from powerd.core.codec import CodecError, codec_of
from powerd.disks.model import (
    CheckPowerMode,
    DiskId,
    FailureCause,
    GroupSpinUp,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.helper.protocol.codec import (
    MAX_LINE,
    MAX_RESPONSE,
    ProtocolError,
    encode_request,
    encode_response,
    parse_request,
    parse_response,
)
from powerd.helper.protocol.messages import (
    MAX_SENTENCE,
    REQUESTS,
    RESPONSES,
    AlarmResponse,
    ArmCard,
    AwaitFirstAccess,
    ClearAlarm,
    ReadAlarm,
    ReadCard,
    ReadFiles,
    ReadTrace,
    Refused,
    Request,
    Response,
    SetAlarm,
    StopTrace,
)
from powerd.power.model import WOL_FLAGS, NetworkCard
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.model import Attribute, Counter, Health

TIMES: Final = st.integers(0, 253_402_300_799)
NAMES: Final = st.from_regex(r"[A-Za-z0-9_.:@-]{1,15}", fullmatch=True).filter(
    lambda name: name not in {".", ".."}
)
LETTERS: Final = st.sets(st.sampled_from(WOL_FLAGS)).map(
    lambda found: "".join(sorted(found, key=WOL_FLAGS.index))
)
DISK: Final = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9#+.:=@_-]{0,127}", fullmatch=True).map(DiskId)
DEVICE_TYPES: Final = st.sampled_from(["", "auto", "sat", "sat,12", "scsi", "nvme"])
COMMANDS: Final = st.integers(0, 99)


def disks(least: int) -> st.SearchStrategy[tuple[DiskId, ...]]:
    return st.lists(DISK, min_size=least, max_size=100, unique=True).map(tuple)


ANY_REQUEST: Final[st.SearchStrategy[Request]] = st.one_of(
    st.builds(ReadAlarm),
    st.builds(SetAlarm, st.integers(60, 31 * 86_400), st.none() | TIMES),
    st.builds(ClearAlarm, TIMES),
    st.builds(ReadCard, NAMES),
    st.builds(ArmCard, NAMES),
    st.builds(CheckPowerMode, DISK),
    st.builds(SpinDown, DISK, st.sampled_from(["ata", "scsi"])),
    st.builds(SetStandbyTimer, DISK, st.integers(0, 19_800)),
    st.builds(SetApmLevel, DISK, st.integers(1, 254)),
    st.builds(ReadPowerFeatures, DISK),
    st.builds(CheckHealth, DISK, st.booleans(), DEVICE_TYPES),
    st.builds(StartTest, DISK, st.sampled_from(["short", "long"]), DEVICE_TYPES),
    st.builds(AwaitFirstAccess, disks(2)),
    st.tuples(disks(0), st.integers(0, 100)).map(
        lambda drawn: ReadFiles(drawn[0][drawn[1] :], drawn[0][: drawn[1]])
    ),
    st.builds(ReadTrace, disks(1)),
    st.builds(StopTrace),
)
PRINTABLE: Final = st.characters().filter(str.isprintable)
SECONDS: Final = st.floats(0, 1 << 40)
LABELS: Final = st.text(PRINTABLE, min_size=1, max_size=64)
EVENTS: Final = st.builds(
    TraceEvent,
    st.sampled_from(get_args(EventKind)),
    LABELS,
    st.integers(0, 1 << 22),
    LABELS,
    st.sampled_from(get_args(Operation)),
    st.integers(0, (1 << 64) - 1),
    LABELS,
    SECONDS,
    SECONDS,
    st.integers(1, 1 << 40),
    st.integers(0, 1 << 62),
)
PROCESSES: Final = st.builds(TracedProcess, st.integers(0, 1 << 22), LABELS, LABELS, LABELS)
ANY_RESPONSE: Final[st.SearchStrategy[Response]] = st.one_of(
    st.builds(
        AlarmResponse,
        st.integers(0, 999).map("rtc{}".format),
        TIMES,
        st.none() | TIMES,
        st.none() | TIMES,
        st.booleans(),
    ),
    st.builds(NetworkCard, NAMES, LETTERS, LETTERS),
    st.builds(PowerStatus, st.sampled_from(PowerMode), COMMANDS, st.booleans()),
    st.builds(PowerFeatures, st.none() | st.integers(1, 254), st.booleans(), st.booleans(), COMMANDS),
    st.builds(
        HealthReading,
        st.builds(
            Health,
            st.floats(0, 1e10),
            st.sampled_from(["ata", "nvme", "scsi"]),
            st.none() | st.booleans(),
            counters=st.dictionaries(st.sampled_from(Counter), st.integers(0)),
        ),
        DEVICE_TYPES,
        COMMANDS,
    ),
    st.builds(GroupSpinUp, DISK, disks(0), disks(0), st.floats(0, 2_678_400)),
    st.builds(
        FileReading,
        st.lists(
            st.builds(
                FileAccess,
                st.integers(0, (1 << 31) - 1),
                st.text(PRINTABLE, min_size=1, max_size=50),
                st.sampled_from(get_args(Operation)),
                st.integers(0, (1 << 64) - 1),
                st.sampled_from(["8:17", "0:41"]),
                st.integers(1, 1 << 40),
            ),
            max_size=3,
        ).map(tuple),
        st.booleans(),
        st.dictionaries(st.sampled_from(["8:17", "0:41"]), disks(1)),
        st.lists(st.text(PRINTABLE, min_size=1, max_size=50), max_size=2).map(tuple),
    ),
    st.builds(
        Refused,
        st.text(PRINTABLE, min_size=1, max_size=MAX_SENTENCE),
        st.sampled_from(FailureCause),
        COMMANDS,
    ),
    st.builds(
        TraceReading,
        st.lists(EVENTS, max_size=3).map(tuple),
        st.lists(PROCESSES, max_size=3).map(tuple),
        st.dictionaries(LABELS, disks(0), max_size=3),
        SECONDS,
        st.integers(0, 1 << 40),
    ),
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def line(**values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"


def parse_error(data: bytes) -> str:
    """The one sentence about a line that is not a request."""
    with pytest.raises(ProtocolError) as caught:
        parse_request(data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= MAX_SENTENCE
    return str(caught.value)


@given(ANY_REQUEST)
def test_a_request_is_parsed_as_it_was_encoded(request: Request) -> None:
    encoded = encode_request(request)
    assert len(encoded) <= MAX_LINE
    assert encoded.count(b"\n") == 1
    assert encoded.endswith(b"\n")
    parsed = parse_request(encoded)
    assert parsed == request
    assert encode_request(parsed) == encoded  # also fields that do not take part in ==


@given(ANY_RESPONSE)
def test_a_response_is_parsed_as_it_was_encoded(response: Response) -> None:
    encoded = encode_response(response)
    assert len(encoded) <= MAX_RESPONSE
    assert encoded.count(b"\n") == 1
    assert parse_response(encoded) == response


def test_lines_have_the_documented_form() -> None:
    assert encode_request(SetAlarm(3600, None)) == line(request="set-alarm", in_seconds=3600, replaces=None)
    assert encode_request(AwaitFirstAccess((DiskId("ata-A"), DiskId("ata-B")))) == line(
        request="await-first-access", disks=["ata-A", "ata-B"]
    )
    assert encode_request(ReadAlarm()) == b'{"request": "read-alarm"}\n'
    assert encode_response(NetworkCard("eth0", "umbg", "")) == line(
        response="card", interface="eth0", supported="umbg", armed=""
    )


def test_the_vocabulary_is_closed() -> None:
    assert sorted(REQUESTS) == [
        *("arm-card", "await-first-access", "check-health", "check-power-mode", "clear-alarm"),
        *("read-alarm", "read-card", "read-files", "read-power-features", "read-trace", "set-alarm"),
        *("set-apm-level", "set-standby-timer", "spin-down", "start-test", "stop-trace"),
    ]
    assert sorted(RESPONSES) == [
        *("alarm", "card", "files", "group-spin-up", "health", "power-features", "power-status", "refused"),
        "trace",
    ]
    assert {kind.response for kind in REQUESTS.values()} == set(RESPONSES.values()) - {Refused}
    assert {kind.request for kind in REQUESTS.values()} == set(get_args(Request))
    assert set(RESPONSES.values()) == set(get_args(Response))


@given(st.binary(max_size=300))
def test_random_bytes_are_parsed_or_rejected(data: bytes) -> None:
    for parse in (parse_request, parse_response):
        try:
            parse(data)
        except ProtocolError as error:
            assert str(error).isprintable()  # noqa: PT017 - an error is one outcome of two


@given(JSON)
def test_random_json_is_rejected(value: object) -> None:
    parse_error(json.dumps(value).encode())


@given(ANY_REQUEST, st.sampled_from(["drop", "add", "change", "twice"]), JSON, st.data())
def test_a_request_with_one_error_is_rejected(
    request: Request, how: str, odd: object, data: st.DataObject
) -> None:
    values: dict[str, Any] = json.loads(encode_request(request))
    key = data.draw(st.sampled_from(sorted(values)))
    text = json.dumps(values)
    if how == "drop":
        del values[key]
    elif how == "add":
        values["besides"] = odd
    elif how == "change":
        if odd in list(REQUESTS) if key == "request" else fits(type(request), key, odd):
            return
        values[key] = odd
    text = f'{text[:-1]}, "{key}": 1}}' if how == "twice" else json.dumps(values)
    parse_error(text.encode())


def fits(kind: type[Request], name: str, value: object) -> bool:
    """Whether a field may have this value."""
    try:
        codec_of(get_type_hints(kind, include_extras=True)[name]).decode(value)
    except CodecError:
        return False
    return True


@given(ANY_REQUEST, st.data())
def test_a_mutated_request_is_parsed_or_rejected(request: Request, data: st.DataObject) -> None:
    bad = bytearray(encode_request(request))
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_request(bytes(bad))
    except ProtocolError as error:
        assert str(error).isprintable()  # noqa: PT017 - an error is one outcome of two
    else:
        assert parse_request(encode_request(parsed)) == parsed


TIME: Final = "a whole number from 0 to 253402300799"
DISKS: Final = (
    "disks must be a list, each item a disk's name in /dev/disk/by-id of 1 to 128 characters, 2 to 100 long, "
    "all different"
)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the line is not JSON"),
        (b"\xff\xfe\n", "the line is not JSON"),
        (b"[" * MAX_LINE, "the line is not JSON"),
        (b'{"a":' * (MAX_LINE // 5), "the line is not JSON"),
        (b"9" * 4000, "a line must be one JSON object, not 99999"),
        (b"[]", "a line must be one JSON object, not []"),
        (b"{}", "the key 'request' is missing"),
        (b" " * (MAX_LINE + 1), "a line may have 16384 bytes, and this one has 16385"),
        (line(request="reboot"), "request must be one of read-alarm, set-alarm,"),
        (line(request=["read-alarm"]), "request must be one of read-alarm, set-alarm,"),
        (line(response="refused", message="no"), "the key 'request' is missing"),
        (line(request="read-alarm", path="/etc"), "read-alarm: unknown key 'path'"),
        (line(request="set-alarm", in_seconds=60), "set-alarm: the key 'replaces' is missing"),
        (b'{"request":"read-alarm","request":"set-alarm"}', "a key occurs twice"),
        (b'{"request":"clear-alarm","at":NaN}', "NaN is not JSON"),
        (b'{"request":"clear-alarm","at":-Infinity}', "-Infinity is not JSON"),
        (line(request="clear-alarm", at=1.0), f"at must be {TIME}, not 1.0"),
        (line(request="clear-alarm", at=True), f"at must be {TIME}, not True"),
        (line(request="clear-alarm", at="1"), f"at must be {TIME}, not '1'"),
        (line(request="clear-alarm", at=None), f"at must be {TIME}, not None"),
        (
            line(request="set-alarm", in_seconds=59, replaces=None),
            "in_seconds must be a whole number from 60 to 2678400",
        ),
        (line(request="set-alarm", in_seconds=2678401, replaces=None), "not 2678401"),
        (line(request="set-alarm", in_seconds=60, replaces=-1), f"replaces must be {TIME}"),
        (line(request="read-card", interface="x\n"), r"not 'x\n'"),
        (
            line(request="spin-down", disk="ata-X", method="sleep"),
            "method must be one of ata, scsi, not 'sleep'",
        ),
        (
            line(request="set-standby-timer", disk="ata-X", seconds=19_801),
            "seconds must be a whole number from 0 to 19800",
        ),
        (line(request="set-standby-timer", disk="ata-X", seconds=True), "to 19800, not True"),
        (
            line(request="set-apm-level", disk="ata-X", level=255, allow_spin_down=True),
            "level must be a whole number from 1",
        ),
        (
            line(request="check-health", disk="ata-X", may_wake=False, device_type="-n"),
            "device_type must be one of",
        ),
        (line(request="start-test", disk="ata-X", test="offline", device_type=""), "test must be one of"),
        (line(request="await-first-access", disks=["ata-X"]), DISKS),
        (line(request="await-first-access", disks=["ata-X", "ata-X"]), DISKS),
        (line(request="await-first-access", disks=[]), DISKS),
        (line(request="await-first-access", disks=[["ata-X"]]), DISKS),
        (line(request="await-first-access", disks=[{}]), DISKS),
        (line(request="await-first-access", disks="ata-X"), DISKS),
    ],
)
def test_an_error_is_named(data: bytes, says: str) -> None:
    assert says in parse_error(data)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../eth0",
        "eth0/..",
        "/etc/passwd",
        "eth0\0",
        "eth0\n",
        "e" * 16,
        "ärm0",
        "eth 0",
        "$(x)",
    ],
)
def test_no_interface_name_leads_elsewhere(name: str) -> None:
    for request in (ReadCard(name), ArmCard(name)):
        with pytest.raises(ProtocolError, match=r"-card: interface must be "):
            encode_request(request)
    assert "interface must be" in parse_error(line(request="arm-card", interface=name))


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../sda",
        "ata-X/../../sda",
        "/dev/sda",
        "-y",
        "ata X",
        "ata-X\n",
        "x" * 129,
        "ä",
        "$(x)",
    ],
)
def test_no_disk_name_leads_elsewhere(name: str) -> None:
    for request in (CheckPowerMode(DiskId(name)), CheckHealth(DiskId(name))):
        with pytest.raises(ProtocolError, match=r": disk must be .*/dev/disk/by-id"):
            encode_request(request)
    assert "disk must be" in parse_error(line(request="check-power-mode", disk=name))


def test_a_hundred_disks_fit_into_a_line() -> None:
    names = tuple(DiskId(f"{'x' * 125}{number:03}") for number in range(100))
    assert len(encode_request(AwaitFirstAccess(names))) <= MAX_LINE
    assert len(encode_response(GroupSpinUp(names[0], names[1:50], names[50:], 1 / 3))) <= MAX_LINE


@pytest.mark.parametrize("name", ["eth0", "enp3s0", "br-lan.10", "eth0:1", "wlan0@x", "...", "e" * 15])
def test_names_that_the_kernel_allows(name: str) -> None:
    assert parse_request(encode_request(ReadCard(name))) == ReadCard(name)


def test_an_invalid_value_is_never_sent() -> None:
    with pytest.raises(ProtocolError, match="in_seconds must be"):
        encode_request(SetAlarm(5, None))
    with pytest.raises(ProtocolError, match=r"armed must be .*pumbagsf"):
        encode_response(NetworkCard("eth0", "umbg", "gu"))
    for message in ("", "two\nlines", "x" * (MAX_SENTENCE + 1), "\udc80"):
        with pytest.raises(ProtocolError, match=r"message must be .*printable"):
            encode_response(Refused(message))
    rows = tuple(Attribute(n, "𝄞" * 200, 1, 1, 1, "𝄞" * 200, prefail=False) for n in range(99))
    with pytest.raises(ProtocolError, match=r"health: .* 262144 bytes"):
        encode_response(HealthReading(Health(0.0, "ata", attributes=rows)))


def test_seconds_from_now() -> None:
    assert AlarmResponse("rtc0", 1000, 1600, None, written=True).in_seconds == 600
    assert AlarmResponse("rtc0", 1000, None, 900, written=False).in_seconds is None
