"""``python -m powerd.activity.https_child``: one HTTPS request of the check ``http``.

A separate process, because TLS takes 4.4 MB of resident memory that the daemon saves. It reads an
object on standard input, evaluates the answer, which may be larger than a pipe holds, and prints
``{"value": 1.0, "names": ["alice"]}``. Headers contain secrets, so they are not arguments.
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
from typing import Any

from powerd.activity.answer import Expression, Selection, select
from powerd.linux.http_client import (
    MAX_ANSWER,
    HttpAnswer,
    HttpRequest,
    encode_fields,
    request_target,
    require_success,
    server_of,
)
from powerd.linux.values import HostError


def fetch(request: HttpRequest, ca_file: str, timeout: float, limit: int) -> HttpAnswer:
    """One request over HTTPS or HTTP; redirects are not followed.

    Args:
        request: the request.
        ca_file: certificates that are trusted; "" = those of the system.
        timeout: seconds without progress.
        limit: bytes that the body may have.

    Raises:
        HostError: there is no answer.
    """
    server = server_of(request)
    try:
        connection = (
            http.client.HTTPSConnection(
                server, timeout=timeout, context=ssl.create_default_context(cafile=ca_file or None)
            )
            if request.url.startswith("https:")
            else http.client.HTTPConnection(server, timeout=timeout)
        )
        connection.request(
            "POST" if request.body else "GET",
            request_target(request),
            request.body.encode() or None,
            encode_fields(request),
        )
        response = connection.getresponse()
        body = response.read(limit + 1)
    except ssl.SSLCertVerificationError as error:
        raise HostError(
            f"the certificate of {server} is not trusted: {error.verify_message}; "
            'set "ca_file" to the certificate of its authority'
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise HostError(f"no answer from {server}: {error}; does the server run there?") from None
    if len(body) > limit:
        raise HostError(f"{server} answers with more than {limit} bytes; request less")
    headers = {name.lower(): value for name, value in response.getheaders()}
    return HttpAnswer(response.status, headers, body)


def run(document: dict[str, Any]) -> Selection:
    """Carry out one request."""
    request = HttpRequest(document["url"], document["headers"], document["body"])
    server = server_of(request)
    body = require_success(fetch(request, document["ca_file"], document["timeout"], MAX_ANSWER), server)
    try:
        return select(body, Expression(*document["expression"]))
    except ValueError as error:
        raise HostError(f"{server}: {error}; check the expression") from None


def main() -> int:
    """Read the request and print what it has found.

    Returns:
        The exit status: 0, or 1 with a sentence on standard error.
    """
    try:
        selection = run(json.load(sys.stdin))
    except HostError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the daemon reads it
        return 1
    json.dump({"value": selection.value, "names": selection.names}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
