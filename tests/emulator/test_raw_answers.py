"""The emulator gives each raw answer on demand, to any call, and carries the call out where the answer does not deny it."""

from __future__ import annotations

import contextlib

import pytest
from pydantic import SecretStr

from gateway.cloud.client import CloudAccess, HttpHub
from gateway.emulator import Emulator
from gateway.emulator.faults import DOWNLOAD, KINDS, FaultQueue
from gateway.emulator.raw_answers import RAW_ANSWERS
from gateway.errors import HubError
from gateway.hub import ChildRegistration, GatewayRegistration, TelemetryMessage
from gateway.models import Status

pytestmark = pytest.mark.enable_socket

GATEWAY = GatewayRegistration(
    hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"), cloud_id="ZzQ7k3V9mT2xB8nL5pR1sW", serial_number="S-1",
    firmware_version="1.0.0",
)  # fmt: skip
CHILD = ChildRegistration(model_id="c2d1e0ff-0a0b-4c0d-8e0f-112233445566", firmware_version="1.0.0")
MESSAGE = TelemetryMessage(status=Status.ONLINE, values={"a": 1})


async def test_each_raw_answer_is_given_on_demand_and_the_next_call_is_answered_as_ever():
    async with Emulator() as emulator:
        access = CloudAccess(entry_url=emulator.entry_url, allow_plain_http=True, timeout_seconds=30)
        async with HttpHub(access) as hub:
            parent = await hub.register_device(GATEWAY)
            for name, answer in RAW_ANSWERS.items():
                if answer.is_endless:
                    continue
                before = len(emulator.cloud.devices)
                emulator.faults.add(name, call="Register Child Device")
                with contextlib.suppress(HubError):
                    await hub.register_child(parent, CHILD)
                assert len(emulator.cloud.devices) == before + answer.means_done, name
                await hub.send_telemetry(parent, MESSAGE)


async def test_an_endless_answer_ends_when_the_client_hangs_up():
    async with Emulator() as emulator:
        access = CloudAccess(entry_url=emulator.entry_url, allow_plain_http=True, timeout_seconds=5)
        async with HttpHub(access) as hub:
            parent = await hub.register_device(GATEWAY)
        access = CloudAccess(entry_url=emulator.entry_url, allow_plain_http=True, timeout_seconds=0.3)
        async with HttpHub(access) as hub:
            for name in [name for name, answer in RAW_ANSWERS.items() if answer.is_endless]:
                emulator.faults.add(name, call="Get Command")
                with pytest.raises(HubError):
                    await hub.get_command(parent)


async def test_a_download_gets_raw_answers_too():
    async with Emulator() as emulator:
        file = emulator.cloud.add_file(model_id="m", name="f", version="1.0.0", content=b"content")
        access = CloudAccess(entry_url=emulator.entry_url, allow_plain_http=True, timeout_seconds=30)
        async with HttpHub(access) as hub:
            for name in ("redirect-broken-ipv6", "shape-not-http", "shape-length-of-30-digits", "shape-nothing"):
                emulator.faults.add(name, call=DOWNLOAD)
                try:
                    async with hub.open_file(f"{emulator.files_url}/files/{file.id}/f") as response:
                        assert [chunk async for chunk in response.chunks()] != [b"content"]
                except HubError:
                    pass


def test_every_raw_answer_is_a_kind_of_fault_and_no_other_name_is():
    assert set(RAW_ANSWERS) < set(KINDS)
    with pytest.raises(ValueError, match="is no kind of fault"):
        FaultQueue().add("shape-of-the-moon")
