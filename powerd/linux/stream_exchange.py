"""One request and its answer over a stream socket, with a limit of size and time, and without TLS."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from powerd.linux.values import HostError

_CHUNK: Final = 1 << 16


async def exchange(
    server: tuple[str, int],
    request: bytes,
    *,
    is_complete: Callable[[bytes], bool],
    limit: int,
    timeout: float,  # noqa: ASYNC109 - the time of the whole exchange, which ends in a sentence
) -> bytes:
    """Connect, send a request, and read until the answer is complete or the server closes the connection.

    Args:
        server: an IP address and a TCP port, or the absolute path of a Unix socket and any number.
        request: sent at once.
        is_complete: whether the bytes read so far are the whole answer.
        limit: bytes that the answer may have.
        timeout: seconds for all of it.

    Raises:
        HostError: no connection, no complete answer in time, or an answer that is too large.
    """
    address, port = server
    name = address if address.startswith("/") else f"{address} port {port}"
    answer = bytearray()
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout):
            if address.startswith("/"):
                reader, writer = await asyncio.open_unix_connection(address)
            else:
                reader, writer = await asyncio.open_connection(address, port)
            writer.write(
                request
            )  # is small; a server that answers before it has read all of it is served too
            while chunk := await reader.read(_CHUNK):
                answer += chunk
                if len(answer) > limit:
                    raise HostError(f"{name} answers with more than {limit} bytes; request less")
                if is_complete(bytes(answer)):
                    break
    except TimeoutError as error:
        what = "did not complete its answer" if answer else "gave no answer"
        raise HostError(f"{name} {what} within {timeout:g} s; is it overloaded?") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise HostError(f"no connection to {name}: {reason}; does the server run there?") from error
    finally:
        if writer is not None:
            writer.transport.abort()  # nothing is pending that the server has to get
            with suppress(OSError):
                await writer.wait_closed()
    return bytes(answer)
