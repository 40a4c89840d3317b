"""Whatever JSON comes in on whatever path: the answer is JSON, and never a fault of ours."""

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.emulator import Emulator
from gateway.emulator.control import ACTIONS
from gateway.emulator.entry_endpoints import ENDPOINTS as ENTRY_CALLS
from gateway.emulator.hub_endpoints import ENDPOINTS as HUB_CALLS
from gateway.emulator.state_file import StateFile

pytestmark = pytest.mark.enable_socket

FIELDS = st.sampled_from([
    "status", "telemetries", "timestamp", "override", "message", "id", "state", "error", "version", "config", "name", "category",
    "title", "priority", "issue", "int_key_1", "string_key_1", "target", "property", "value", "parent_id", "details", "sn", "mac",
    "hardware_key", "cloud_id", "firmware_version", "model_id", "sub_model", "config_version", "access_token", "DEVICE",
])  # fmt: skip
WORDS = st.sampled_from([
    "online", "done", "failed", "in_progress", "inuse", "removed", "unsorted", "follow_parent", "1.0.0", "2025-02-03T04:05:06Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0f0e0d0c-1111-4222-8333-444455556666", "DEVICE",
    "ZzQ7k3V9mT2xB8nL5pR1",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(), inner, max_size=4), max_leaves=8
)
BODIES = st.dictionaries(FIELDS, VALUES, max_size=8) | VALUES
ROUTES = st.sampled_from(
    [("entry_url", call.method, call.path) for call in ENTRY_CALLS]
    + [("hub_url", call.method, call.path) for call in HUB_CALLS]
    + [("hub_url", action.method, f"/_emulator/{action.path}") for action in ACTIONS if "faults" not in action.path]
)
FORM = {"hardware_key": "0f0e0d0c-1111-4222-8333-444455556666", "cloud_id": "ZzQ7k3V9mT2xB8nL5pR1sW", "firmware_version": "1.0.0"}


async def storm(asks, store) -> None:
    async with Emulator(store=store) as emulator, aiohttp.ClientSession() as session:
        async with session.post(f"{emulator.entry_url}/v1/devices", json={**FORM, "sn": "storm"}) as answer:
            device = await answer.json()
        emulator.cloud.claim(device["id"])
        for (server, method, path), body in asks:
            url = getattr(emulator, server) + path.replace("{device_id}", device["id"])
            headers = {"Authorization": device["access_key"], "Content-Type": "application/json"}
            sent = json.dumps(body).replace('"DEVICE"', f'"{device["id"]}"')
            async with session.request(method, url, data=sent, headers=headers) as answer:
                text = await answer.text()
                assert answer.status < 500, (method, path, sent, text)
                assert answer.content_type == "application/json" or "Model not found" in text, (method, path, sent, text)
                json.loads(text)
    assert StateFile(store).load() == emulator.cloud.saved_state


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(asks=st.lists(st.tuples(ROUTES, BODIES), min_size=5, max_size=25))
def test_random_json_on_any_route_is_answered_in_json_never_with_a_5xx_and_survives_a_restart(asks):
    with TemporaryDirectory() as folder:
        asyncio.run(storm(asks, Path(folder) / "world.json"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    messages=st.lists(
        st.fixed_dictionaries(
            {
                "status": st.sampled_from(["online", "offline", "error"]),
                "telemetries": st.dictionaries(st.text(), SCALARS, max_size=5),
            }
        ),
        max_size=5,
    )
)
def test_the_state_is_what_the_messages_add_up_to(messages):
    expected = {}
    for message in messages:
        expected |= message["telemetries"] | {"status": message["status"]}
        expected = {key: value for key, value in expected.items() if value is not None}

    async def send_all():
        async with Emulator() as emulator, aiohttp.ClientSession() as session:
            async with session.post(f"{emulator.entry_url}/v1/devices", json={**FORM, "sn": "sum"}) as answer:
                device = await answer.json()
            for message in messages:
                url = f"{emulator.hub_url}/v1/devices/{device['id']}/telemetry"
                async with session.post(url, json=message, headers={"Authorization": device["access_key"]}) as answer:
                    assert answer.status == 201, await answer.text()
            assert emulator.cloud.devices[device["id"]].state == expected

    asyncio.run(send_all())
