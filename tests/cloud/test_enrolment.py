import asyncio
import re
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from gateway.causes import Cause
from gateway.cloud.enrolment import RETRY_JITTER, Enrolment, advice_for
from gateway.cloud.gateway_identity import gateway_identity, mac_of_machine, make_cloud_id
from gateway.config.settings import CloudSection, Configuration, GatewaySection, Settings
from gateway.errors import HubBusy, HubRejected, HubUnreachable, SettingsError, StoreError
from gateway.state.records import GatewayRecord
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.state.writes import retry_until_stored
from gateway.testing.clock import simulated
from gateway.testing.hub import FakeHub

MAC = "02:00:5e:10:00:01"
SECONDS = timedelta(seconds=0.05)


def configured(*, gateway=None, **cloud):
    cloud = CloudSection(hardware_key=SecretStr("hk"), **cloud)
    return Configuration(None, Settings(gateway=GatewaySection(**(gateway or {})), cloud=cloud), ())


@pytest.fixture
async def enrolled(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        hub, registry = FakeHub(), Registry(store)
        await registry.load()
        network = SimpleNamespace(back=True, looked=0)

        async def network_is_back():
            network.looked += 1
            return network.back

        def make(configuration=None, *, retry_every=SECONDS, check_network_every=timedelta(seconds=0.01), version="1.0.0"):
            configuration = configuration or configured(gateway={"mac": MAC})
            return Enrolment(
                hub, registry, configuration, firmware_version=version, network_is_back=network_is_back, retry_every=retry_every,
                check_network_every=check_network_every,
            )  # fmt: skip

        yield SimpleNamespace(hub=hub, registry=registry, store=store, network=network, make=make)


async def until(claim):
    async with asyncio.timeout(60):
        while not claim():  # noqa: ASYNC110 - a claim about a number
            await asyncio.sleep(0.005)


def rejected(text, status=422):
    return HubRejected(f"Register Device: {text}", status=status, error=text)


def test_a_cloud_id_has_the_documented_form():
    made = {make_cloud_id("Abc") for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"Abc[A-Za-z0-9]{16,36}", one) for one in made)


def test_identity_is_made_once_and_kept_for_life():
    by_cloud_id = configured(authentication="cloud_id", partner_code="Abc")
    first = gateway_identity(None, by_cloud_id, machine_mac=None)
    assert first.cloud_id.startswith("Abc")
    assert first.serial_number.startswith("XG-")
    assert gateway_identity(first, by_cloud_id, machine_mac=MAC) == GatewayRecord(
        serial_number=first.serial_number, mac=MAC, cloud_id=first.cloud_id
    )
    renamed = configured(authentication="cloud_id", partner_code="Xyz")
    assert gateway_identity(first, renamed, machine_mac=None).cloud_id == first.cloud_id, "never a changed Cloud ID"


@pytest.mark.parametrize("key", ["serial_number", "mac"])
def test_another_serial_number_or_mac_than_the_kept_one_is_refused(key):
    known = GatewayRecord(serial_number="OLD", mac="02:00:00:00:00:01", cloud_id=None)
    with pytest.raises(SettingsError, match=rf"gateway\.{key}: is .* but this gateway is registered under"):
        gateway_identity(known, configured(gateway={key: "02:00:00:00:00:99"}), machine_mac=None)


def test_a_missing_mac_is_an_error_of_the_settings():
    with pytest.raises(SettingsError, match="no network card"):
        gateway_identity(None, configured(), machine_mac=None)


def test_the_first_real_network_card_gives_the_mac(tmp_path):
    for name, mac in (("lo", "00:00:00:00:00:00"), ("wlan0", "02:aa:aa:aa:aa:aa"), ("eth0", MAC), ("odd", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "address").write_text(mac + "\n")
    assert mac_of_machine(tmp_path) == MAC
    assert mac_of_machine(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (rejected("Sn has already been taken"), "Delete it in the portal or press Replace Device"),
        (rejected("Device already registered"), "Replace Device"),
        (rejected("Hardware key is invalid", 400), "cloud.hardware_key"),
        (rejected("Not found", 404), "Partner Portal"),
        (rejected("Firmware version can't be blank"), r"\[gateway\]"),
        (HubUnreachable("no connection", maybe_done=False), "retried automatically"),
    ],
)
def test_an_operator_reads_what_to_do(error, says):
    assert re.search(says, advice_for(error))


async def test_credentials_are_stored_before_they_are_used_and_survive(enrolled):
    enrolment = enrolled.make()
    await enrolment.prepare()
    credentials = await enrolment.credentials()
    again = Registry(enrolled.store)
    await again.load()
    assert again.gateway.credentials == credentials
    assert await enrolment.credentials() == credentials
    assert enrolled.hub.calls["register_device"] == 1
    sent = enrolled.hub.devices[credentials.device_id].registration
    assert (sent.mac, sent.cloud_id, sent.serial_number) == (MAC, None, again.gateway.serial_number)


async def test_a_refusal_is_retried_slowly_under_the_same_identity_and_logged_once(enrolled, caplog):
    enrolment = enrolled.make()
    await enrolment.prepare()
    serial = enrolled.registry.gateway.serial_number
    enrolled.hub.fail("register_device", *[rejected("Sn has already been taken")] * 2)
    begun = asyncio.get_running_loop().time()
    credentials = await enrolment.credentials()
    assert asyncio.get_running_loop().time() - begun >= 2 * (1 - RETRY_JITTER) * 0.05
    assert enrolled.hub.devices[credentials.device_id].registration.serial_number == serial
    assert caplog.text.count("Replace Device") == 1
    assert enrolment.problem is None
    assert enrolled.network.looked == 0, "a server that answers is no lost network"


async def test_registration_follows_at_once_when_the_network_comes_back(enrolled):
    enrolment = enrolled.make(retry_every=timedelta(minutes=15))
    await enrolment.prepare()
    enrolled.network.back = False
    enrolled.hub.fail("register_device", HubUnreachable("no route", maybe_done=False))
    task = asyncio.create_task(enrolment.credentials())
    await until(lambda: enrolled.network.looked > 3)
    assert not task.done()
    enrolled.network.back = True
    assert await asyncio.wait_for(task, 60)


async def test_a_server_that_can_be_connected_to_all_the_time_gets_one_quick_retry_only(enrolled):
    enrolment = enrolled.make(retry_every=timedelta(minutes=15))
    await enrolment.prepare()
    enrolled.hub.fail("register_device", *[HubUnreachable("certificate", maybe_done=False)] * 5)
    task = asyncio.create_task(enrolment.credentials())
    await until(lambda: enrolled.hub.calls["register_device"] == 2)
    looked = enrolled.network.looked
    await until(lambda: enrolled.network.looked > looked + 5)
    task.cancel()
    assert enrolled.hub.calls["register_device"] == 2


async def test_a_busy_server_is_given_the_time_that_it_asks_for(enrolled):
    enrolment = enrolled.make(retry_every=timedelta(seconds=0.01))
    await enrolment.prepare()
    enrolled.hub.fail("register_device", HubBusy("busy", retry_after_seconds=0.2))
    begun = asyncio.get_running_loop().time()
    await enrolment.credentials()
    assert asyncio.get_running_loop().time() - begun >= 0.2


async def test_a_revoked_gateway_registers_again_under_its_old_identity(enrolled):
    enrolment = enrolled.make(configured(authentication="cloud_id", partner_code="Abc"))
    await enrolment.prepare()
    first = await enrolment.credentials()
    await enrolment.revoke()
    second = await enrolment.credentials()
    assert first.device_id != second.device_id
    sent = [enrolled.hub.devices[one.device_id].registration for one in (first, second)]
    assert sent[0] == sent[1]
    assert sent[0].cloud_id.startswith("Abc")


async def test_an_updated_gateway_sends_its_new_version_once(enrolled):
    enrolment = enrolled.make()
    await enrolment.prepare()
    parent = await enrolment.credentials()
    await enrolment.send_changes(parent)
    assert enrolled.hub.calls["update_device"] == 0
    updated = enrolled.make(version="2.0.0")
    await updated.send_changes(parent)
    await updated.send_changes(parent)
    assert [one["firmware_version"] for one in enrolled.hub.devices[parent.device_id].updates] == ["2.0.0"]


async def test_a_store_that_fails_when_the_key_arrives_gets_it_when_it_works_again(enrolled, monkeypatch):
    monkeypatch.setitem(retry_until_stored.__kwdefaults__, "again_after_seconds", 0.01)
    enrolment = enrolled.make()
    await enrolment.prepare()
    keep, failures = enrolled.registry.save_gateway, [StoreError("disk full")] * 3

    async def full(record):
        if failures:
            raise failures.pop()
        await keep(record)

    enrolled.registry.save_gateway = full
    credentials = await enrolment.credentials()
    assert not failures
    assert enrolled.hub.calls["register_device"] == 1
    assert enrolled.registry.gateway.credentials == credentials


async def test_a_stop_while_the_answer_is_on_its_way_does_not_cost_the_key(enrolled):
    enrolment = enrolled.make()
    await enrolment.prepare()
    register, asked = enrolled.hub.register_device, asyncio.Event()

    async def slowly(gateway):
        credentials = await register(gateway)
        asked.set()
        await asyncio.sleep(0.1)
        return credentials

    enrolled.hub.register_device = slowly
    task = asyncio.create_task(enrolment.credentials())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again = Registry(enrolled.store)
    await again.load()
    assert again.gateway.credentials.device_id in enrolled.hub.devices


async def test_a_second_outage_of_the_network_is_noticed_like_the_first(enrolled):
    enrolment = enrolled.make(retry_every=timedelta(minutes=15))
    await enrolment.prepare()
    for _ in range(2):
        enrolled.hub.fail("register_device", HubUnreachable("no route", maybe_done=False))
        await asyncio.wait_for(enrolment.credentials(), 60)
        await enrolment.revoke()


async def test_a_server_cannot_ask_for_silence_for_ever(enrolled, monkeypatch):
    monkeypatch.setattr("gateway.cloud.enrolment.MAX_QUIET_SECONDS", 0.1)
    enrolment = enrolled.make(retry_every=timedelta(seconds=0.01))
    await enrolment.prepare()
    enrolled.hub.fail("register_device", HubBusy("busy", retry_after_seconds=10_000_000))
    assert await asyncio.wait_for(enrolment.credentials(), 60)


async def test_an_update_that_the_cloud_refuses_for_its_limit_is_sent_later(enrolled):
    enrolment = enrolled.make()
    await enrolment.prepare()
    parent = await enrolment.credentials()
    updated = enrolled.make(version="2.0.0")
    enrolled.hub.fail("update_device", HubBusy("ten an hour", retry_after_seconds=3000))
    for _ in range(3):
        await updated.send_changes(parent)
    assert enrolled.hub.calls["update_device"] == 1
    await enrolled.make(version="2.0.0").send_changes(parent)
    assert [one["firmware_version"] for one in enrolled.hub.devices[parent.device_id].updates] == ["2.0.0"]


def enrolling(parts, test):
    """Run a test with a gateway that has its identity, in simulated time."""

    async def main():
        async with parts() as made:
            await test(made)

    simulated(main())


def now():
    return asyncio.get_running_loop().time()


TAKEN = rejected("Sn has already been taken")


def test_a_cloud_that_deleted_the_gateway_by_mistake_gets_its_former_key_again(parts):
    async def test(made):
        first = await made.enrolment.credentials()
        await made.enrolment.revoke()
        assert made.registry.gateway.credentials is None
        assert made.registry.gateway.former_credentials == first
        made.hub.fail("register_device", TAKEN)
        assert await made.enrolment.credentials() == first
        assert made.registry.gateway.former_credentials is None
        assert (now(), made.enrolment.problem) == (0, None)

    enrolling(parts, test)


def test_a_former_key_that_does_not_work_is_kept_and_tried_again_with_each_refusal(parts):
    async def test(made):
        first = await made.enrolment.credentials()
        await made.enrolment.revoke()
        device = made.hub.devices.pop(first.device_id)
        made.hub.fail("register_device", *[TAKEN] * 3)
        waiting = asyncio.create_task(made.enrolment.credentials())
        await asyncio.sleep(60)
        assert made.registry.gateway.former_credentials == first
        assert "Replace Device" in made.enrolment.problem
        assert made.enrolment.next_try > datetime.now().astimezone()
        made.hub.devices[first.device_id] = device
        assert await waiting == first

    enrolling(parts, test)


def test_a_refusal_that_is_not_about_a_taken_id_does_not_try_the_former_key(parts):
    async def test(made):
        first = await made.enrolment.credentials()
        await made.enrolment.revoke()
        made.hub.fail("register_device", rejected("Hardware key is invalid", 400))
        assert await made.enrolment.credentials() != first
        assert made.registry.gateway.former_credentials is None, "the new registration replaces it"

    enrolling(parts, test)


def test_a_refused_registration_is_retried_every_quarter_of_an_hour_or_a_little_sooner(parts):
    async def test(made):
        made.hub.fail("register_device", *[rejected("Hardware key is invalid", 400)] * 8)
        await made.enrolment.credentials()
        assert 8 * 15 * 60 * (1 - RETRY_JITTER) <= now() <= 8 * 15 * 60
        assert made.enrolment.registered_at == now()
        assert (made.enrolment.problem, made.enrolment.next_try) == (None, None)

    enrolling(parts, test)


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(None, 300, 300), (20, 300, 300), (2000, 2000, 2000), (10_000_000, 3600, 3600)]
)
def test_a_busy_server_gets_five_minutes_or_what_it_asks_for_within_an_hour(parts, asked, least, most):
    async def test(made):
        made.hub.fail("register_device", HubBusy("busy", retry_after_seconds=asked))
        await made.enrolment.credentials()
        assert least <= now() <= most

    enrolling(parts, test)


def test_a_server_that_answers_with_an_error_is_not_a_lost_network(parts):
    async def test(made):
        made.hub.fail("register_device", HubUnreachable("502", maybe_done=True, status=502))
        await made.enrolment.credentials()
        assert now() >= 15 * 60 * (1 - RETRY_JITTER)

    enrolling(parts, test)


def test_a_network_that_is_back_is_noticed_within_ten_seconds(parts):
    async def test(made):
        made.hub.fail("register_device", HubUnreachable("no route", maybe_done=False))
        await made.enrolment.credentials()
        assert now() == 10

    enrolling(parts, test)


def test_changes_are_sent_again_ten_minutes_after_the_hub_had_no_time_for_them(parts):
    async def test(made):
        parent = await made.enrolment.credentials()
        await made.registry.save_gateway(replace(made.registry.gateway, sent_info="old"))
        made.hub.fail("update_device", HubBusy("ten an hour", retry_after_seconds=None))
        for _ in range(10):
            await made.enrolment.send_changes(parent)
            await asyncio.sleep(60)
        assert made.hub.calls["update_device"] == 1
        await made.enrolment.send_changes(parent)
        assert made.hub.calls["update_device"] == 2
        await asyncio.sleep(3600)
        await made.enrolment.send_changes(parent)
        assert made.hub.calls["update_device"] == 2, "the cloud has them now"

    enrolling(parts, test)


def test_changes_that_the_cloud_rejects_are_not_sent_again(parts):
    async def test(made):
        parent = await made.enrolment.credentials()
        await made.registry.save_gateway(replace(made.registry.gateway, sent_info="old"))
        made.hub.fail("update_device", rejected("name is too long"))
        for _ in range(3):
            await made.enrolment.send_changes(parent)
            await asyncio.sleep(3600)
        assert made.hub.calls["update_device"] == 1

    enrolling(parts, test)


async def test_a_registration_that_waits_is_made_at_once_on_request_and_says_what_came_of_it(enrolled):
    enrolment = enrolled.make(retry_every=timedelta(hours=1))
    await enrolment.prepare()
    enrolled.hub.fail("register_device", rejected("hardware key unknown"), rejected("hardware key unknown", 403))
    registering = asyncio.create_task(enrolment.credentials())
    await until(lambda: enrolment.tries == 1)
    assert enrolment.next_try is not None
    first_at = enrolment.tried_at

    reason = await asyncio.wait_for(enrolment.try_now(), 60)

    assert "hardware key" in reason.text
    assert (reason.cause, enrolment.tries) == (Cause.REFUSED_BY_CLOUD, 2)
    assert enrolment.tried_at > first_at
    assert await asyncio.wait_for(enrolment.try_now(), 60) is None
    assert (await registering).device_id
    assert (enrolment.reason, enrolment.tries, enrolment.tried_at) == (None, 0, None)
