"""Why a host cannot be reached is told in words for a person, not in those of a library."""

import errno
import os

import pytest

from adapters.modbus.client.buses import TcpHost
from adapters.modbus.client.open_errors import why_not_open


@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.ETIMEDOUT, errno.ECONNABORTED, errno.ENOBUFS, errno.ECONNREFUSED])
def test_no_words_of_the_event_loop_are_told(number):
    told = why_not_open(TcpHost(host="10.0.0.5"), OSError(number, "Connect call failed ('10.0.0.5', 502)"))
    assert told.startswith("10.0.0.5:502: ")
    assert "call failed" not in told
    assert os.strerror(number) in told or "?" in told
