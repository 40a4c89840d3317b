"""Writes to Modbus units that were not written with pymodbus: each is executed, confirmed and read back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.modbus.client.buses import TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ExceptionResponse, ReadRequest, Table, WriteRequest
from adapters.modbus.client.transport import RetryPolicy

pytestmark = pytest.mark.enable_socket

PEERS = Path(__file__).parents[1] / "peers"
LONG = RetryPolicy(timeout_seconds=5)
UNITS = {1: {"coil": dict.fromkeys(range(16), 0), "holding": dict.fromkeys(range(8), 0)}}


@pytest.fixture(params=["umodbus_host.py", "modbus_tk_units.py"])
def host(request) -> Iterator[TcpHost]:
    """A peer in a process of its own."""
    command = [sys.executable, PEERS / request.param, json.dumps(UNITS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as peer:
        yield TcpHost(host="127.0.0.1", port=int(peer.stdout.readline()))
        peer.kill()


@pytest.mark.parametrize(
    ("write", "before", "after"),
    [
        (WriteRequest(Table.COIL, 3, (1,)), "0000", "0800"),
        (WriteRequest(Table.COIL, 3, (1, 0, 1, 1, 0, 0, 1, 1, 1, 0)), "0000", "680e"),
        (WriteRequest(Table.HOLDING, 2, (0xBEEF,)), "0000 0000 0000 0000", "0000 0000 beef 0000"),
        (WriteRequest(Table.HOLDING, 1, (0x000A, 0x0102)), "0000 0000 0000 0000", "0000 000a 0102 0000"),
    ],
    ids=["function 5", "function 15", "function 6", "function 16"],
)
async def test_what_is_written_reads_back(host, write, before, after):
    everything = ReadRequest(write.table, 0, 16 if write.table is Table.COIL else 4)
    with closing(Link(host)) as link:
        assert await link.ask(1, everything, LONG) == bytes.fromhex(before)
        assert await link.ask(1, write, LONG) == b""
        assert await link.ask(1, everything, LONG) == bytes.fromhex(after)


async def test_what_a_peer_does_not_have_is_refused(host):
    with closing(Link(host)) as link, pytest.raises(ExceptionResponse, match="illegal data address"):
        await link.ask(1, WriteRequest(Table.HOLDING, 4000, (1,)), LONG)
