"""[http]: what is valid by itself and together, as `powerd check` reports it."""

from __future__ import annotations

import pytest

from powerd.config.load import ConfigError, parse
from powerd.config.sample import effective_toml

VALID = """[http]
listen = ["127.0.0.1:8787", "10.0.0.2:8787", "[fd00::2]:80", "0.0.0.0:8787"]
login = "password"
hosts = ["nas.lan", "NAS:8443", "[fd00::2]:80", "10.0.0.2"]
base_path = "/a/powerd"
proxies = ["10.0.0.3", "fd00:0::3"]
frame_ancestors = ["https://home.lan:8123", "http://10.0.0.4", "https://*.home.example.org"]
"""


def test_it_reads_back() -> None:
    options = parse(VALID.encode(), "x")
    assert options.http.hosts[1] == "nas:8443"
    assert options.http.proxies == ("10.0.0.3", "fd00::3")
    assert parse(effective_toml(options).encode(), "x") == options


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('listen = ["10.0.0.2:8787"]', "listen"),
        ('listen = ["127.0.0.1:8787", "0.0.0.0:8787"]', "listen"),
        ('listen = ["[::]:8787"]', "listen"),
        ('listen = ["nas.lan:8787"]', "listen"),
        ('listen = ["10.0.0.2:0"]', "listen"),
        ('login = "pasword"', "login"),
        ('login = "password"\npassword_file = ""', "password_file"),
        ('password_file = "password"', "password_file"),
        *(
            (f"hosts = [{text}]", "hosts")
            for text in ('""', '"*"', '"a b"', '"a/b"', '"http://a"', '"a,b"', '"a\\r\\nb"')
        ),
        *(
            (f"base_path = {text}", "base_path")
            for text in ('"x"', '"/"', '"/x/"', '"//x"', '"/../x"', '"/x?y"', '"/x\\ny"')
        ),
        *((f"proxies = [{text}]", "proxies") for text in ('"nas.lan"', '"10.0.0.0/24"', '""')),
        *(
            (f"frame_ancestors = [{text}]", "frame_ancestors")
            for text in (
                '"*"',
                '"https://*"',
                '"home.lan"',
                '"https://a; script-src *"',
                '"https://a b"',
                "\"'self'\"",
                '"https://a\\r\\nX: y"',
            )
        ),
    ],
)
def test_what_is_invalid_is_one_line_with_its_key(line: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(f"[http]\n{line}\n".encode(), "x")
    (fault,) = map(str, error.value.faults)
    assert f"http.{key}: " in fault
    assert fault.isprintable()
