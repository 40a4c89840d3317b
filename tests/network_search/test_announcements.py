"""What hosts announce is heard from a real responder over multicast on loopback; who is outside of what was named is not.

Each test has a service type of its own, since everything on this machine shares the multicast group.
"""

import asyncio
import secrets
import socket
import struct
from contextlib import asynccontextmanager, contextmanager

import pytest
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gateway.models import Announcement
from gateway.network_search import announcements
from gateway.network_search.announcements import browse

pytestmark = pytest.mark.enable_socket

LOOPBACK = "127.0.0.1"
GROUP = "224.0.0.251", 5353


@pytest.fixture
def service():
    return f"_t{secrets.token_hex(5)}._tcp"


@asynccontextmanager
async def announcing(service, *instances):
    """Announce these instances: name, address, port and texts."""
    responder = AsyncZeroconf(interfaces=[LOOPBACK], ip_version=IPVersion.V4Only)
    try:
        for number, (name, address, port, texts) in enumerate(instances):
            info = AsyncServiceInfo(
                f"{service}.local.",
                f"{name}.{service}.local.",
                addresses=[socket.inet_aton(address)],
                port=port,
                properties=texts,
                server=f"h{number}-{service.strip('_').partition('.')[0]}.local.",
            )
            await responder.async_register_service(info, cooperating_responders=True)
        yield
    finally:
        await responder.async_close()


async def heard(service, addresses, count, attempts=20):
    """Listen again and again until so many announcements were heard; a busy machine may lose a question."""
    for _ in range(attempts):
        found = await browse([service], [LOOPBACK], addresses, 0.9)
        if len(found) >= count:
            break
    return sorted(found, key=lambda one: one.name)


@contextmanager
def listening():
    """Hear what is sent to the group, as every host of a network does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind(GROUP)
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP[0]) + socket.inet_aton(LOOPBACK))
        listener.setblocking(False)
        yield listener


async def test_what_a_named_host_announces_is_heard_with_its_port_and_texts(service):
    texts = {"model": "PM5560", "empty": None, "id": b"\xff\xfe"}
    async with announcing(service, ("Meter 1", "127.0.0.5", 1502, texts), ("Elsewhere", "127.0.0.6", 502, {})):
        (found,) = await heard(service, {"127.0.0.5"}, 1)
    assert found == Announcement(
        service=service, name="Meter 1", host="127.0.0.5", port=1502, texts={"model": "PM5560", "empty": "", "id": "\ufffd\ufffd"}
    )


async def test_only_so_many_instances_and_texts_are_kept(service, monkeypatch):
    monkeypatch.setattr(announcements, "MOST_SERVICES", 2)
    monkeypatch.setattr(announcements, "MOST_TEXTS", 3)
    texts = {f"key{number}": "long " * 40 for number in range(6)}
    async with announcing(service, *((f"Meter {number}", "127.0.0.5", 502, texts) for number in range(5))):
        found = await heard(service, {"127.0.0.5"}, 2)
    assert len(found) == 2
    assert all(len(one.texts) == 3 and all(len(text) <= 100 for text in one.texts.values()) for one in found)


async def test_only_questions_are_sent_and_port_5353_is_not_used(service):
    loop = asyncio.get_running_loop()
    with listening() as listener:
        browsing = asyncio.create_task(browse([service], [LOOPBACK], {LOOPBACK}, 60.0))
        try:
            async with asyncio.timeout(60):
                while True:
                    packet, sender = await loop.sock_recvfrom(listener, 9000)
                    if service.partition(".")[0].encode() in packet:
                        break
        finally:
            browsing.cancel()
            await asyncio.gather(browsing, return_exceptions=True)
    _, flags, questions, answers, authorities, _ = struct.unpack_from("!6H", packet)
    assert sender[0] == LOOPBACK
    assert sender[1] != GROUP[1]
    assert not flags & 0x8000, "a response announces something"
    assert questions > 0
    assert answers == authorities == 0


async def test_what_is_no_message_of_dns_ends_no_search(service):
    """Garbage, endless pointers and a forged answer without an address arrive at the port that asked; a real answer counts."""
    loop = asyncio.get_running_loop()
    pointer_to_itself = struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + b"\xc0\x0c" + b"\0\x0c\0\1\0\0\0\x0a\0\2\xc0\x0c"
    name = b"".join(bytes([len(part)]) + part for part in (*service.encode().split(b"."), b"local")) + b"\0"
    forged = struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + name + b"\0\x0c\0\1\0\0\0\x0a\0\x04\x01x\xc0\x0c"
    garbage = [b"", b"\0", b"\xff" * 9_000, pointer_to_itself, forged, forged[:30], forged + b"\xff" * 100]
    with listening() as listener:

        async def attack():
            while True:
                packet, sender = await loop.sock_recvfrom(listener, 9_000)
                if service.partition(".")[0].encode() in packet and sender[1] != GROUP[1]:
                    for one in garbage:
                        await loop.sock_sendto(listener, one, sender)

        attacking = asyncio.create_task(attack())
        try:
            async with announcing(service, ("Meter 1", "127.0.0.5", 502, {})):
                found = await heard(service, {"127.0.0.5"}, 1)
        finally:
            attacking.cancel()
            await asyncio.gather(attacking, return_exceptions=True)
    assert [one.name for one in found] == ["Meter 1"]


async def test_a_cancelled_search_leaves_no_task(service):
    """Sockets that are left open are warned about, and a warning is an error in this suite."""
    before = asyncio.all_tasks()
    browsing = asyncio.create_task(browse([service], [LOOPBACK], {LOOPBACK}, 60.0))
    await asyncio.sleep(0.05)
    browsing.cancel()
    await asyncio.gather(browsing, return_exceptions=True)
    assert asyncio.all_tasks() == before
