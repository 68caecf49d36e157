"""The reverse proxies of docs/remote.md, as they are printed there, on a LAN of namespaces."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from rig.daemon import NO_CHECKS, Daemon
from rig.lan import Lan, Namespace, stop
from rig.wait import until

from powerd.config.password import hash_password

DOCUMENT: Final = Path(__file__).parents[3] / "docs/remote.md"
PASSWORD: Final = "open sesame, please"  # noqa: S105 - of this test alone
URL: Final = "https://nas.lan/powerd/"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
]


def snippet(language: str, word: str = "") -> str:
    """The first example in the document that contains this word."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return next(each for each in found if word in each) + "\n"


def start_nginx(inside: Namespace, scratch: Path) -> subprocess.Popen[bytes]:
    pem, log = scratch / "nas.pem", scratch / "error.log"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=nas.lan", "-keyout", str(pem), "-out", f"{pem}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    places = "".join(
        f"{kind}_temp_path {scratch};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = scratch / "nginx.conf"
    configuration.write_text(
        f"user root;\npid {scratch}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{places}"
        "server {\nlisten 443 ssl;\nlisten 80;\nserver_name nas.lan;\n"
        f"ssl_certificate {pem}.crt;\nssl_certificate_key {pem};\n{snippet('nginx')}}}\n}}\n"
    )
    return inside.start("nginx", "-e", str(log), "-c", str(configuration), "-g", "daemon off;")


def start_caddy(inside: Namespace, scratch: Path) -> subprocess.Popen[bytes]:
    configuration = scratch / "Caddyfile"
    configuration.write_text(f"{{\nadmin off\nskip_install_trust\n}}\n{snippet('caddy')}")
    home = {"HOME": str(scratch), "XDG_DATA_HOME": str(scratch), "XDG_CONFIG_HOME": str(scratch)}
    argv = ("caddy", "run", "--adapter", "caddyfile", "--config", str(configuration))
    return inside.start(*argv, env=home)


PROXIES: Final = {"nginx": start_nginx, "caddy": start_caddy}


class Client:
    """curl on another machine of the LAN, with a cookie jar."""

    def __init__(self, lan: Lan, scratch: Path) -> None:
        self._host = lan.join("laptop")
        self._host.take(f"{lan.net}.2/24")
        self._jar = scratch / "jar"
        self._argv: tuple[str, ...] = ("curl", "-sSk", "--max-time", "60")
        self._argv += ("-c", str(self._jar), "-b", str(self._jar))
        self._argv += ("--resolve", f"nas.lan:443:{lan.net}.1", "--resolve", f"nas.lan:80:{lan.net}.1")

    def get(self, url: str, *options: str) -> str:
        return self._host.inside.run(*self._argv, "-D", "-", url, *options, check=False).stdout

    def forget(self) -> None:
        """Have no cookies."""
        self._jar.unlink(missing_ok=True)

    def first_event(self, url: str) -> str:
        """The first line of an event stream that goes on."""
        argv = [*self._host.inside.prefix(), *self._argv, "-N", url]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as stream:
            assert stream.stdout is not None
            line = "".join(stream.stdout.readline() for _ in range(2))
            stream.terminate()
        return line


def status_of(reply: str) -> str:
    return reply.split(maxsplit=2)[1]


def use(client: Client) -> None:
    """Log in, follow the events, and send a form, as the page does."""
    form = ("--data-urlencode", f"secret={PASSWORD}")
    own, foreign = ("-H", "Origin: https://nas.lan"), ("-H", "Origin: https://evil.example")
    assert status_of(client.get(f"{URL}login", *form, *foreign)) == "403"
    assert status_of(client.get(f"{URL}login", "-d", "secret=wrong", *own)) == "403"
    reply = client.get(f"{URL}login", *form, *own).lower()
    assert "location: /powerd/\n" in reply
    assert "secure" in reply
    page = client.get(URL)
    assert 'href="/powerd/api/status"' in page
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert csrf is not None
    assert client.first_event(f"{URL}api/events").startswith("event: hello"), "no proxy collects the events"
    keep = ("-d", "for=2h", "-d", f"csrf={csrf[1]}")
    assert status_of(client.get(f"{URL}api/keep", *keep, "-H", "Origin: http://nas.lan")) == "403"
    assert status_of(client.get(f"{URL}api/keep", *keep, *own)) == "303"


def test_the_documented_proxies(tmp_path: Path) -> None:
    password_file = tmp_path / "password"
    password_file.write_text(hash_password(PASSWORD))
    password_file.chmod(0o600)
    with Lan(tmp_path) as lan:
        config = (
            f'{snippet("toml", "login")}password_file = "{password_file}"\n'
            f'listen = ["127.0.0.1:8787", "{lan.net}.1:8787"]\n'
            f'[clients]\nleases = []\nlearn = "0s"\n{NO_CHECKS}'
        )
        server = lan.server.inside
        with Daemon(server, tmp_path / "powerd", config) as daemon:
            client = Client(lan, tmp_path)
            installed = [program for program in PROXIES if shutil.which(program)]
            for number, program in enumerate(installed, 1):
                proxy = PROXIES[program](server, tmp_path)
                client.forget()
                until(lambda: "location: /powerd/login" in client.get(URL).lower(), "the proxy answers")
                use(client)
                assert len(daemon.status()["keep_awake"]) == number
                if program == "nginx":
                    assert status_of(client.get("http://nas.lan/powerd/login")) == "403"
                stop(proxy)
            direct = f"http://{lan.net}.1:8787"
            reply = client.get(f"{direct}/login", "-d", f"secret={PASSWORD}", "-H", f"Origin: {direct}")
            assert status_of(reply) == "403"
            assert "not encrypted" in reply
            forged = ("-H", "X-Forwarded-Proto: https", "-H", "X-Forwarded-For: 127.0.0.1")
            assert status_of(client.get(f"{direct}/login", *forged)) == "403"
    if len(installed) < len(PROXIES):
        pytest.skip(f"only {installed} are installed")
