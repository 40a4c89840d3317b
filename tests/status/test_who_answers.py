"""Who answers at an address: the gateway of a store, another one, or something else."""

import asyncio
import socket

import pytest

from gateway.status.who_answers import Answerer, store_id, who_answers

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def store(tmp_path):
    (tmp_path / "gateway.sqlite3.lock").touch()
    return tmp_path / "gateway.sqlite3"


async def asked(body, store, *, head="HTTP/1.1 200 OK\r\n\r\n"):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body if isinstance(body, bytes) else (head + body).encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        return await who_answers("127.0.0.1", server.sockets[0].getsockname()[1], store, is_tls=False)


async def test_a_gateway_is_recognised_by_its_store_under_any_path(store, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    body = f'{{"is_alive": true, "gateway": "Plant", "store_id": "{store_id(store)}", "run_id": "1"}}'
    answer = await asked(body, tmp_path / "link" / "gateway.sqlite3")
    assert (answer.who, answer.name) == (Answerer.OWN, "Plant")


@pytest.mark.parametrize(
    ("body", "who"),
    [
        ('{"is_alive": true, "gateway": "\\u202eA", "store_id": "00"}', Answerer.OTHER_GATEWAY),
        ('{"is_alive": true}', Answerer.SOME_GATEWAY),
        ('{"is_alive": true, "store_id": null, "gateway": 7}', Answerer.SOME_GATEWAY),
        ('{"is_alive": 1}', Answerer.OTHER_PROGRAM),
        ("[]", Answerer.OTHER_PROGRAM),
        ("<html>", Answerer.OTHER_PROGRAM),
        ("[" * 9000, Answerer.OTHER_PROGRAM),
        (b"\xff" * 90_000, Answerer.OTHER_PROGRAM),
        ("", Answerer.OTHER_PROGRAM),
    ],
)
async def test_others_are_told_apart_and_nothing_that_they_send_is_believed(store, body, who):
    answer = await asked(body, store)
    assert answer.who is who
    assert "\u202e" not in str(answer)


async def test_where_nothing_listens_nobody_answers(store):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert (await who_answers("127.0.0.1", port, store, is_tls=False)).who is Answerer.NOBODY


async def test_the_running_page_says_who_it_is_and_only_that(page, store):
    async with page.http.get("/healthz") as answer:
        said = await answer.json()
    assert said.keys() == {"is_alive", "gateway", "store_id", "run_id"}
    assert said["gateway"] == "Xyte gateway"


def test_a_store_that_nobody_has_used_has_no_id(tmp_path):
    assert store_id(tmp_path / "none" / "gateway.sqlite3") is None
    assert store_id(None) is None
