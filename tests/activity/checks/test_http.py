from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.checks.http import KIND, HttpCheck, Options
from powerd.config.load import ConfigError
from powerd.config.load import parse as parse_config
from powerd.core.poller import PollDepth
from powerd.linux.subprocess import HostProcesses
from powerd.linux.values import HostError, ProcessResult

URL = "http://127.0.0.1:8096/Sessions"
SERVER = ("127.0.0.1", 8096)
PLAYING = '[{"UserName": "alice", "NowPlayingItem": {"Name": "Dune"}}]'


def http(body: str, status: str = "200 OK", head: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\n{head}\r\n{body}".encode()


def options(**changed: object) -> Options:
    given = {"url": URL, "jmespath": "[?NowPlayingItem].UserName", "text": "Jellyfin plays for"} | changed
    return Options(**given)  # type: ignore[arg-type] # as the loader calls it


def poll(check: HttpCheck) -> tuple[bool, float | None, str]:
    (activity,) = asyncio.run(check.poll(PollDepth.BEFORE_SLEEP))
    return activity.keeps_awake, activity.value, activity.text


def test_a_playing_server_keeps_awake_and_an_idle_one_does_not() -> None:
    fake = RecordingPorts(answers={SERVER: http(PLAYING)})
    check = HttpCheck(options(), check_ports(fake.ports()))
    assert poll(check) == (True, 1.0, "Jellyfin plays for: alice")
    fake.answers[SERVER] = http("[]")
    assert poll(check) == (False, 0.0, "Jellyfin plays for")


@pytest.mark.parametrize(
    "names",
    [
        {"UserName": "alice"},
        {"UserName": None, "DeviceName": "TV"},
        {"DeviceName": ""},
        {"UserName": None, "DeviceName": None},
    ],
)
def test_a_session_of_the_example_counts_without_a_name(names: dict[str, str | None]) -> None:
    assert isinstance(KIND.example, Options)
    session = {"NowPlayingItem": {"Name": "Dune"}, "PlayState": {"IsPaused": False}, **names}
    fake = RecordingPorts(answers={SERVER: http(json.dumps([session]))})
    check = HttpCheck(replace(KIND.example, header_file=""), check_ports(fake.ports()))
    assert poll(check)[:2] == (True, 1.0)


@pytest.mark.parametrize(("above", "awake"), [(0, True), (9, True), (10, False), (11, False)])
def test_the_threshold(above: int, awake: bool) -> None:  # noqa: FBT001 - a row of the table
    fake = RecordingPorts(answers={SERVER: http('{"rate": 10}')})
    check = HttpCheck(options(jmespath="rate", above=above), check_ports(fake.ports()))
    assert poll(check)[0] is awake


@pytest.mark.parametrize(
    "answer",
    [
        http("[]", "500 Internal Server Error"),
        http("[]", "401 Unauthorized"),
        http("", "302 Found", "Location: http://elsewhere/\r\n"),
        http("<html>log in</html>"),
        http('{"error": "busy"}'),
        http(""),
        b"",
        b"220 ftp\r\n",
    ],
)
def test_any_other_answer_is_a_failure(answer: bytes) -> None:
    fake = RecordingPorts(answers={SERVER: answer} if answer else {})
    with pytest.raises(HostError):
        poll(HttpCheck(options(), check_ports(fake.ports())))


def test_a_header_file_is_read_once_and_again_after_a_failure(tmp_path: Path) -> None:
    secret = tmp_path / "jellyfin.headers"
    secret.write_text("X-Emby-Token: one\n")
    secret.chmod(0o640)
    fake = RecordingPorts(answers={SERVER: http("[]")})
    check = HttpCheck(options(header_file=str(secret)), check_ports(fake.ports()))
    poll(check)
    secret.write_text("X-Emby-Token: two\n")
    poll(check)
    fake.answers[SERVER] = http("", "401 Unauthorized")
    with pytest.raises(HostError, match="header file"):
        poll(check)
    fake.answers[SERVER] = http("[]")
    poll(check)
    tokens = [b"X-Emby-Token: two" in request for *_, request in fake.calls if isinstance(request, bytes)]
    assert tokens == [False, False, False, True]


@pytest.mark.parametrize("mode", [0o644, 0o642])
def test_a_header_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    secret = tmp_path / "headers"
    secret.write_text("X-Emby-Token: one\n")
    secret.chmod(mode)
    fake = RecordingPorts(answers={SERVER: http("[]")})
    with pytest.raises(HostError, match="chmod o-rwx"):
        poll(HttpCheck(options(header_file=str(secret)), check_ports(fake.ports())))
    assert not fake.calls


def test_a_missing_header_file_is_a_failure_with_the_remedy(tmp_path: Path) -> None:
    check = HttpCheck(options(header_file=str(tmp_path / "no")), check_ports())
    with pytest.raises(HostError, match="chmod 640"):
        poll(check)


def test_a_transmission_session_id_is_sent_and_remembered() -> None:
    class Transmission(RecordingPorts):
        async def exchange(self, server: tuple[str, int], request: bytes, **_: object) -> bytes:
            self._record("exchange", server, request)
            known = b"x-transmission-session-id: 42" in request
            return (
                http('{"n": 1}') if known else http("", "409 Conflict", "X-Transmission-Session-Id: 42\r\n")
            )

    fake = Transmission()
    check = HttpCheck(options(jmespath="n", post='{"method": "session-stats"}'), check_ports(fake.ports()))
    assert poll(check)[0]
    assert poll(check)[0]
    assert len(fake.calls) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"url": ""},
        {"jmespath": ""},
        {"xpath": "/a/b"},
        {"require": "[?"},
    ],
)
def test_invalid_combinations(changed: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        options(**changed)


@pytest.mark.parametrize("post", ["{", "[" * 100_000], ids=["incomplete", "nested too deeply"])
def test_what_is_posted_is_json(post: str) -> None:
    config = f'[[activity.http]]\nname = "a"\nurl = "{URL}"\njmespath = "a"\npost = "{post}"\n'
    with pytest.raises(ConfigError):
        parse_config(config.encode(), "f")


HTTPS = {"url": "https://127.0.0.1:8920/Sessions"}


def test_https_is_asked_by_a_child() -> None:
    fake = RecordingPorts(command_result=ProcessResult(0, '{"value": 2.0, "names": ["alice"]}', ""))
    check = HttpCheck(options(**HTTPS), check_ports(fake.ports()))
    assert poll(check) == (True, 2.0, "Jellyfin plays for: alice")
    ((_, argv, timeout, stdin),) = fake.calls
    assert "powerd.activity.https_child" in argv  # type: ignore[operator] # a tuple of str
    assert timeout == 15.0
    assert json.loads(str(stdin, "utf-8"))["url"] == HTTPS["url"]  # type: ignore[call-overload] # bytes


@pytest.mark.parametrize(
    "result",
    [
        ProcessResult(1, "", "no answer from nas: Connection refused\n"),
        ProcessResult(1, "", ""),
        ProcessResult(-9, "", ""),
        ProcessResult(0, "", ""),
        ProcessResult(0, "[]", ""),
        ProcessResult(0, '{"value": "x", "names": []}', ""),
    ],
)
def test_a_failed_child_is_a_failure(result: ProcessResult) -> None:
    fake = RecordingPorts(command_result=result)
    check = HttpCheck(options(**HTTPS), check_ports(fake.ports()))
    with pytest.raises(HostError):
        poll(check)


@pytest.mark.process
def test_https_with_a_real_server(tmp_path: Path) -> None:
    """The certificate is verified, and the child returns what it has found, in an answer of 200 kB."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=nas"
        " -addext subjectAltName=IP:127.0.0.1 -keyout"
    )
    subprocess.run([*command.split(), key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    document = [{"UserName": "alice", "NowPlayingItem": {"Name": "x" * 200_000}}]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(json.dumps(document)))
        await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        ports = replace(check_ports(), processes=HostProcesses())
        url = f"https://127.0.0.1:{port}/Sessions"
        check = HttpCheck(options(url=url, ca_file=str(certificate), timeout=10.0), ports)
        (activity,) = await check.poll(PollDepth.BEFORE_SLEEP)
        assert activity.keeps_awake
        assert activity.text == "Jellyfin plays for: alice"
        with pytest.raises(HostError, match="not trusted"):
            await HttpCheck(options(url=url, timeout=10.0), ports).poll(PollDepth.BEFORE_SLEEP)
        server.close()
        await server.wait_closed()

    asyncio.run(run())


@pytest.mark.process
def test_a_plain_request_loads_no_tls() -> None:
    program = """if True:
        import sys
        sys.modules["ssl"] = None
        from powerd.activity.checks import command, http, kodi, mpd
        from powerd.activity.answer import Expression, select
        select("[]", Expression("jmespath", "[?a]"))
        select("<a/>", Expression("xpath", "/a"))
        assert not {"aiohttp", "http.client", "urllib.request"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
