"""The guard that all other tests run under."""

import socket

import pytest


def test_a_test_that_reaches_for_the_network_fails_whatever_catches_errors() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"), socket.socket() as outside:
        outside.connect(("192.0.2.1", 80))
    with pytest.raises(pytest.fail.Exception, match=r"example\.org"):
        socket.create_connection(("example.org", 80))


def test_a_test_may_talk_to_its_own_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
