"""TLS over a stream of asyncio. ssl takes 4 MB, so it is imported for the first connection that needs it.

asyncio's own TLS needs ssl when asyncio is imported.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from powerd.linux.values import HostError

_CHUNK: Final = 1 << 14

_REMEDIES: Final = {
    9: "check the clock of this server",
    10: "renew it, or check the clock of this server",
    62: "use a name in mqtt.broker that the certificate has",
    64: "use a name in mqtt.broker that the certificate has",
}
"""What to do by the X509_V_ERR of x509_vfy.h: not yet valid, expired, of another host name or address."""


class TlsStream:
    """The encrypted side of a connection, with the methods of the streams that powerd uses.

    Args:
        reader, writer: of the connection.
        host: the name that the certificate must have.
        ca_file: authorities that are trusted; "" = those of the system.

    Raises:
        HostError: the file cannot be used.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, ca_file: str
    ) -> None:
        if sys.modules.get("ssl", ...) is None:  # __main__.py has disabled the import
            del sys.modules["ssl"]
        import ssl  # noqa: PLC0415 - only a connection with TLS needs it

        self._ssl = ssl
        self._reader, self._writer = reader, writer
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise HostError(
                f"cannot use the certificates in {ca_file}: {error}; check mqtt.ca_file"
            ) from None
        context.options |= ssl.OP_NO_RENEGOTIATION  # during which write() fails (SSL_write(3))
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)

    async def handshake(self) -> None:
        """Execute the handshake, and check the certificate.

        Raises:
            HostError: the certificate is not trusted, or the server does not use TLS.
            OSError: the connection was lost.
        """
        try:
            while True:
                try:
                    self._tls.do_handshake()
                    break
                except self._ssl.SSLWantReadError:
                    await self._receive()
        except self._ssl.SSLCertVerificationError as error:
            remedy = _REMEDIES.get(error.verify_code, "set mqtt.ca_file")
            raise HostError(f"its certificate is not trusted: {error.verify_message}; {remedy}") from None
        except self._ssl.SSLError as error:
            raise HostError(f"it does not use TLS as expected ({error.reason}); check the port") from None
        finally:
            self._send()

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        self._tls.write(data)
        self._send()

    async def read(self, size: int) -> bytes:
        """The next bytes; b"" = the connection has ended."""
        while True:
            try:
                return self._tls.read(size)
            except self._ssl.SSLWantReadError:
                await self._receive()
            except self._ssl.SSLError:  # also the end without a proper closure
                return b""
            finally:
                self._send()

    async def _receive(self) -> None:
        self._send()
        data = await self._reader.read(_CHUNK)
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()

    def _send(self) -> None:
        if data := self._to_send.read():
            self._writer.write(data)
