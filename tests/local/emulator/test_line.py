"""A client's connection: what is left of one that goes away."""

import gc
import socket
import ssl
import struct
import warnings

import pytest

from sunup.local.emulator.line import Line

RESET = struct.pack("ii", 1, 0)


@pytest.mark.parametrize("said", [b"", b"\x16"])
async def test_a_client_that_is_gone_before_tls_leaves_no_socket(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        line = Line(server.accept()[0])
        client.sendall(said)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        with pytest.raises(OSError):  # noqa: PT011  # which one is the kernel's affair
            await line.start_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        line.close()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            gc.collect()
        assert [str(each.message) for each in told] == []

        with socket.create_connection(server.getsockname()) as client:
            line = Line(server.accept()[0])
            client.sendall(b"later")
            assert await line.read_some() == b"later"
            line.close()
