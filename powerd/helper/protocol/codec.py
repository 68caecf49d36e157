"""Requests and responses of the helper as lines: one JSON object (RFC 8259) each.

A request is ``{"request": NAME, ...}``, a response ``{"response": NAME, ...}``. The other keys are exactly
the fields of the class that ``messages`` registers under that name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from powerd.core import codec
from powerd.core.codec import CodecError, shown
from powerd.helper.protocol.messages import (
    REQUEST_NAMES,
    REQUESTS,
    RESPONSE_NAMES,
    RESPONSES,
    Request,
    Response,
)

MAX_LINE: Final = 16_384
"""Bytes of a request, its end included: the names of a hundred disks fit into it."""
MAX_RESPONSE: Final = 1 << 18
"""Bytes of a response, its end included: two thousand events of a trace fit into it."""


class ProtocolError(ValueError):
    """A line or a value outside of the vocabulary; one printable sentence that names what is wrong."""


def encode_request(request: Request) -> bytes:
    """A request as a line of ASCII, its end included.

    Raises:
        ProtocolError: a value does not meet its constraint.
    """
    return _line("request", REQUEST_NAMES[type(request)], request, MAX_LINE)


def encode_response(response: Response) -> bytes:
    """A response as a line of ASCII, its end included.

    Raises:
        ProtocolError: a value does not meet its constraint.
    """
    return _line("response", RESPONSE_NAMES[type(response)], response, MAX_RESPONSE)


def parse_request(line: bytes) -> Request:
    """The request in one line, with or without its end.

    Raises:
        ProtocolError: the line is not a request.
    """
    kinds = {name: kind.request for name, kind in REQUESTS.items()}
    request: Request = _parse(line, "request", kinds, MAX_LINE)
    return request


def parse_response(line: bytes) -> Response:
    """The response in one line, with or without its end.

    Raises:
        ProtocolError: the line is not a response.
    """
    response: Response = _parse(line, "response", RESPONSES, MAX_RESPONSE)
    return response


def _line(envelope_key: str, name: str, message: Request | Response, limit: int) -> bytes:
    try:
        fields = codec.encode(message)
    except CodecError as error:
        raise ProtocolError(f"{name}: {error}") from None
    line = json.dumps({envelope_key: name, **fields}).encode() + b"\n"
    if len(line) > limit:
        raise ProtocolError(f"{name}: a line may have {limit} bytes, and this one has {len(line)}")
    return line


def _parse(line: bytes, envelope_key: str, kinds: Mapping[str, type[Any]], limit: int) -> Any:  # noqa: ANN401 - one of ``kinds``
    if len(line) > limit:
        raise ProtocolError(f"a line may have {limit} bytes, and this one has {len(line)}")
    fields = _parse_object(line)
    if envelope_key not in fields:
        raise ProtocolError(f"the key {envelope_key!r} is missing")
    name = fields.pop(envelope_key)
    if not isinstance(name, str) or name not in kinds:
        raise ProtocolError(f"{envelope_key} must be one of {', '.join(kinds)}, not {shown(name)}")
    try:
        return codec.decode(kinds[name], fields)
    except CodecError as error:
        raise ProtocolError(f"{name}: {error}") from None


def _parse_object(line: bytes) -> dict[str, Any]:
    """The object of a line; a repeated key and NaN are errors."""
    try:
        value = json.loads(
            line.decode(), object_pairs_hook=_reject_duplicate_keys, parse_constant=_reject_constant
        )
    except ProtocolError:
        raise
    except (ValueError, RecursionError):  # also bytes that are not UTF-8, and JSON nested too deeply
        raise ProtocolError("the line is not JSON") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"a line must be one JSON object, not {shown(value)}")
    return value


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ProtocolError("a key occurs twice in an object")
    return table


def _reject_constant(constant: str) -> Any:  # noqa: ANN401 - the signature that json.loads() wants; never returns
    raise ProtocolError(f"{constant} is not JSON")
