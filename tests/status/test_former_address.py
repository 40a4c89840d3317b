"""The former address of the page, kept beside the store."""

import asyncio
import os
from datetime import UTC, datetime

import pytest

from gateway import strict_json
from gateway.status.auth.access_control import TokenAuth
from gateway.status.base_server import BaseServer
from gateway.status.listening.endpoint import Endpoint, FormerAddress
from gateway.status.listening.former_address import former_address_file, keep_former_address, kept_former_address


@pytest.mark.parametrize("host", ["", "a\x00b", "a b", "a\x1b[31m", "h" * 256])
def test_a_kept_host_that_can_be_none_is_none(tmp_path, host):
    store = tmp_path / "gateway.sqlite3"
    kept = {"host": host, "port": 8080, "at": datetime.now(UTC).isoformat()}
    former_address_file(store).write_text(strict_json.dumps(kept))
    assert kept_former_address(store) is None


def test_a_named_pipe_in_its_place_does_not_hold_up_the_start(tmp_path):
    store = tmp_path / "gateway.sqlite3"
    os.mkfifo(former_address_file(store))
    assert kept_former_address(store) is None


def test_it_is_never_written_through_a_link(tmp_path):
    store, other = tmp_path / "gateway.sqlite3", tmp_path / "other"
    other.write_text("kept")
    file = former_address_file(store)
    file.symlink_to(other)
    file.with_name(f"{file.name}.new").symlink_to(other)
    keep_former_address(store, FormerAddress("127.0.0.1", 8080))
    assert other.read_text() == "kept"
    assert kept_former_address(store) == FormerAddress("127.0.0.1", 8080)


@pytest.mark.enable_socket
async def test_a_former_host_that_cannot_exist_leaves_the_page_waiting_for_its_address():
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    endpoint = Endpoint(port=port, former=FormerAddress("a..b", port))
    server = BaseServer(TokenAuth(tuple, host="127.0.0.1"), endpoint)
    assert await server._bind_former() is None
    taken.close()
    await taken.wait_closed()
