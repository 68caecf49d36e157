"""The vocabulary: what is said is what is heard, and nothing else is heard at all."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.helper.protocol import codec
from powerd.helper.protocol.codec import (
    CAUSES,
    MAX_LINE,
    REQUESTS,
    RESPONSES,
    Refused,
    Request,
    Response,
    encode,
    parse_request,
    parse_response,
)
from powerd.helper.protocol.fields import MAX_SENTENCE, ProtocolError, field_types
from powerd.helper.protocol.messages import (
    WOL_FLAGS,
    AlarmResponse,
    ArmCard,
    AwaitFirstAccess,
    CardResponse,
    ClearAlarm,
    DriveResponse,
    GroupSpinUpResponse,
    PowerResponse,
    ReadAlarm,
    ReadCard,
    ReadDriveRequest,
    ReadPowerRequest,
    SetAlarm,
    SetApmRequest,
    SetTimerRequest,
    SpinDownRequest,
)

TIMES: Final = st.integers(0, 253_402_300_799)
NAMES: Final = st.from_regex(r"[A-Za-z0-9_.:@-]{1,15}", fullmatch=True).filter(
    lambda name: name not in {".", ".."}
)
LETTERS: Final = st.sets(st.sampled_from(WOL_FLAGS)).map(
    lambda found: "".join(sorted(found, key=WOL_FLAGS.index))
)
DISK: Final = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9#+.:=@_-]{0,127}", fullmatch=True)


def disks(least: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(DISK, min_size=least, max_size=100, unique=True).map(tuple)


REQUEST: Final[st.SearchStrategy[Request]] = st.one_of(
    st.builds(ReadAlarm),
    st.builds(SetAlarm, st.integers(60, 31 * 86_400), st.none() | TIMES),
    st.builds(ClearAlarm, TIMES),
    st.builds(ReadCard, NAMES),
    st.builds(ArmCard, NAMES),
    st.builds(ReadPowerRequest, DISK),
    st.builds(SpinDownRequest, DISK, st.sampled_from(["ata", "scsi"])),
    st.builds(SetTimerRequest, DISK, st.integers(0, 252) | st.just(255)),
    st.builds(SetApmRequest, DISK, st.integers(1, 254), st.booleans()),
    st.builds(ReadDriveRequest, DISK),
    st.builds(AwaitFirstAccess, disks(2)),
)
PRINTABLE: Final = st.characters().filter(str.isprintable)
ANSWER: Final[st.SearchStrategy[Response]] = st.one_of(
    st.builds(
        AlarmResponse,
        st.integers(0, 999).map("rtc{}".format),
        TIMES,
        st.none() | TIMES,
        st.none() | TIMES,
        st.booleans(),
    ),
    st.builds(CardResponse, NAMES, LETTERS, LETTERS),
    st.builds(
        PowerResponse,
        DISK,
        st.sampled_from(["active", "standby", "sleeping", "unknown", "suspended"]),
        st.integers(0, 99),
    ),
    st.builds(
        DriveResponse,
        DISK,
        st.none() | st.integers(1, 254),
        st.booleans(),
        st.booleans(),
        st.integers(0, 99),
    ),
    st.builds(GroupSpinUpResponse, DISK, disks(0), disks(0), st.floats(0, 2_678_400) | st.integers(0, 60)),
    st.builds(
        Refused,
        st.text(PRINTABLE, min_size=1, max_size=MAX_SENTENCE),
        st.sampled_from(CAUSES),
        st.integers(0, 99),
    ),
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def line(**values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"


def refusal(data: bytes) -> str:
    """The one sentence about a line that is no request."""
    with pytest.raises(ProtocolError) as caught:
        parse_request(data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= MAX_SENTENCE
    return str(caught.value)


@given(REQUEST)
def test_every_request_is_parsed_as_it_was_sent(request: Request) -> None:
    said = encode(request)
    assert len(said) <= MAX_LINE
    assert said.count(b"\n") == 1
    assert said.endswith(b"\n")
    assert parse_request(said) == request


@given(ANSWER)
def test_every_answer_is_parsed_as_it_was_sent(answer: Response) -> None:
    said = encode(answer)
    assert len(said) <= MAX_LINE
    assert said.count(b"\n") == 1
    assert parse_response(said) == answer


def test_the_wire_is_what_is_documented() -> None:
    assert encode(SetAlarm(3600, None)) == line(ask="set-alarm", in_seconds=3600, replaces=None)
    assert encode(AwaitFirstAccess(("ata-A", "ata-B"))) == line(ask="guard", disks=["ata-A", "ata-B"])
    assert encode(ReadAlarm()) == b'{"ask": "read-alarm"}\n'
    assert encode(CardResponse("eth0", "umbg", "")) == line(
        answer="card", interface="eth0", supported="umbg", armed=""
    )


def test_the_vocabulary_is_closed() -> None:
    assert sorted(REQUESTS) == [
        *(
            "arm-card",
            "check-health",
            "clear-alarm",
            "guard",
            "read-alarm",
            "read-card",
            "read-drive",
            "read-power",
        ),
        *("set-alarm", "set-apm", "set-timer", "stand-by", "start-test"),
    ]
    assert sorted(RESPONSES) == ["alarm", "card", "drive", "health", "power", "refused", "roused"]
    assert all(getattr(codec, name, None) is not None for name in codec.__all__)


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_parsers(data: bytes) -> None:
    for parse in (parse_request, parse_response):
        try:
            parse(data)
        except ProtocolError as error:
            assert str(error).isprintable()  # noqa: PT017 - an error is one outcome of two


@given(JSON)
def test_no_json_but_a_request_is_one(value: object) -> None:
    refusal(json.dumps(value).encode())


@given(REQUEST, st.sampled_from(["drop", "add", "change", "twice"]), JSON, st.data())
def test_a_request_with_anything_wrong_is_none(
    request: Request, how: str, odd: object, data: st.DataObject
) -> None:
    values: dict[str, Any] = json.loads(encode(request))
    key = data.draw(st.sampled_from(sorted(values)))
    text = json.dumps(values)
    if how == "drop":
        del values[key]
    elif how == "add":
        values["besides"] = odd
    elif how == "change":
        kind = field_types(type(request)).get(key)
        if (
            odd in list(REQUESTS)
            if kind is None
            else kind.accepts(tuple(odd) if isinstance(odd, list) else odd)
        ):
            return
        values[key] = odd
    text = f'{text[:-1]}, "{key}": 1}}' if how == "twice" else json.dumps(values)
    refusal(text.encode())


@given(REQUEST, st.data())
def test_no_mutation_of_a_request_upsets_the_parser(request: Request, data: st.DataObject) -> None:
    bad = bytearray(encode(request))
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    try:
        heard = parse_request(bytes(bad))
    except ProtocolError as error:
        assert str(error).isprintable()  # noqa: PT017 - an error is one outcome of two
    else:
        assert parse_request(encode(heard)) == heard


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the line is no JSON"),
        (b"\xff\xfe\n", "the line is no JSON"),
        (b"[" * MAX_LINE, "the line is no JSON"),
        (b'{"a":' * (MAX_LINE // 5), "the line is no JSON"),
        (b"9" * 4000, "a line holds one JSON object, not 99999"),
        (b"[]", "a line holds one JSON object, not []"),
        (b"{}", "the key 'ask' is missing"),
        (b" " * (MAX_LINE + 1), "a line may have 16384 bytes, and this one has 16385"),
        (line(ask="reboot"), "ask must be one of read-alarm, set-alarm,"),
        (line(ask=["read-alarm"]), "ask must be one of read-alarm, set-alarm,"),
        (line(answer="refused", why="no"), "the key 'ask' is missing"),
        (line(ask="read-alarm", path="/etc"), "read-alarm: unknown key 'path'"),
        (line(ask="set-alarm", in_seconds=60), "set-alarm: the key 'replaces' is missing"),
        (b'{"ask":"read-alarm","ask":"set-alarm"}', "a key stands twice"),
        (b'{"ask":"clear-alarm","at":NaN}', "NaN is no JSON"),
        (b'{"ask":"clear-alarm","at":-Infinity}', "-Infinity is no JSON"),
        (line(ask="clear-alarm", at=1.0), "at must be a whole number from 0 to 253402300799, not 1.0"),
        (line(ask="clear-alarm", at=True), "at must be a whole number from 0 to 253402300799, not True"),
        (line(ask="clear-alarm", at="1"), "at must be a whole number from 0 to 253402300799, not '1'"),
        (line(ask="clear-alarm", at=None), "at must be a whole number from 0 to 253402300799, not None"),
        (
            line(ask="set-alarm", in_seconds=59, replaces=None),
            "in_seconds must be a whole number from 60 to 2678400",
        ),
        (line(ask="set-alarm", in_seconds=2678401, replaces=None), "not 2678401"),
        (line(ask="set-alarm", in_seconds=60, replaces=-1), "replaces must be a whole number from 0 to"),
        (line(ask="read-card", interface="x\n"), r"not 'x\n'"),
        (line(ask="stand-by", disk="ata-X", how="sleep"), "how must be one of ata, scsi, not 'sleep'"),
        (
            line(ask="set-timer", disk="ata-X", value=253),
            "value must be a whole number from 0 to 252, or 255",
        ),
        (line(ask="set-timer", disk="ata-X", value=True), "or 255, not True"),
        (line(ask="set-apm", disk="ata-X", level=255, spin_down=True), "level must be a whole number from 1"),
        (line(ask="guard", disks=["ata-X"]), "disks must be a list of 2 to 100 different values"),
        (line(ask="guard", disks=["ata-X", "ata-X"]), "each a disk's name in /dev/disk/by-id of 1 to 128"),
        (line(ask="guard", disks=[]), "disks must be a list of 2 to 100 different values"),
        (line(ask="guard", disks=[["ata-X"]]), "disks must be a list of 2 to 100 different values"),
        (line(ask="guard", disks=[{}]), "disks must be a list of 2 to 100 different values"),
        (line(ask="guard", disks="ata-X"), "disks must be a list of 2 to 100 different values"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, says: str) -> None:
    assert says in refusal(data)


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
def test_no_interface_name_escapes_the_directory(name: str) -> None:
    for kind in (ReadCard, ArmCard):
        with pytest.raises(ProtocolError, match=f"{kind.wire_name}: interface must be an interface's name"):
            kind(name)


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
def test_no_disk_name_escapes_the_directory(name: str) -> None:
    for kind in (ReadPowerRequest, ReadDriveRequest):
        with pytest.raises(
            ProtocolError, match=f"{kind.wire_name}: disk must be a disk's name in /dev/disk/by-id"
        ):
            kind(name)


def test_a_hundred_disks_fit_into_a_line() -> None:
    names = tuple(f"{'x' * 125}{number:03}" for number in range(100))
    assert len(encode(AwaitFirstAccess(names))) <= MAX_LINE
    assert len(encode(GroupSpinUpResponse(names[0], names[1:50], names[50:], 1 / 3))) <= MAX_LINE


@pytest.mark.parametrize("name", ["eth0", "enp3s0", "br-lan.10", "eth0:1", "wlan0@x", "...", "e" * 15])
def test_names_that_the_kernel_allows(name: str) -> None:
    assert ReadCard(name).interface == name


def test_a_wrong_value_cannot_even_be_made() -> None:
    with pytest.raises(ProtocolError, match="in_seconds must be"):
        SetAlarm(5, None)
    with pytest.raises(ProtocolError, match="armed must be letters of 'pumbagsf'"):
        CardResponse("eth0", "umbg", "gu")
    for why in ("", "two\nlines", "x" * (MAX_SENTENCE + 1), "\udc80"):
        with pytest.raises(ProtocolError, match="why must be a printable line"):
            Refused(why)


def test_seconds_from_now() -> None:
    assert AlarmResponse("rtc0", 1000, 1600, None, written=True).in_seconds == 600
    assert AlarmResponse("rtc0", 1000, None, 900, written=False).in_seconds is None
