"""The doctor says that the cloud offers a newer version of the gateway, as the store has it, and asks nobody."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from gateway.config.settings import CloudSection, GatewaySection, Settings, StoreSection
from gateway.doctor import version
from gateway.doctor.known_config import KnownConfig
from gateway.doctor.version import version_findings
from gateway.hub import Credentials
from gateway.state.firmware_jobs import FirmwareOffer, FirmwareOffers
from gateway.state.records import GatewayRecord
from gateway.state.registry import Registry
from gateway.state.store import Store

ME = Credentials(device_id="d1", access_key=SecretStr("k"), hub_url="https://hub", hub_url_static_cert=None, mqtt_hub_url=None)


def known(path, *, hook=None):
    settings = Settings(
        gateway=GatewaySection(firmware_hook=hook),
        cloud=CloudSection(hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666")),
        store=StoreSection(path=path),
    )
    return KnownConfig(file=None, is_given=True, settings=settings, entries=())


async def findings_of(configuration):
    return [finding async for finding in version_findings(configuration)]


@pytest.mark.parametrize(
    ("hook", "in_container", "words"),
    [(None, True, "docker compose up"), (None, False, "systemctl"), ("/bin/true", True, "command")],
)
async def test_a_newer_version_is_a_warning_with_what_to_do(tmp_path, monkeypatch, hook, in_container, words):
    monkeypatch.setattr(version, "is_in_container", lambda: in_container)
    path = tmp_path / "gateway.sqlite3"
    async with Store(path) as store:
        registry = Registry(store)
        await registry.load()
        await registry.save_gateway(GatewayRecord(serial_number="XG-1", mac=None, cloud_id=None, credentials=ME))
        assert await findings_of(known(path)) == []
        await FirmwareOffers(store).put("d1", FirmwareOffer("9.9.9", None), datetime.now(UTC))
        await FirmwareOffers(store).put("child", FirmwareOffer("99.0.0", None), datetime.now(UTC))
    (finding,) = await findings_of(known(path, hook=hook))
    assert "9.9.9" in finding.meaning
    assert words in finding.fix


async def test_without_a_store_or_with_one_that_cannot_be_read_nothing_is_said(tmp_path):
    assert await findings_of(known(tmp_path / "none.sqlite3")) == []
    damaged = tmp_path / "gateway.sqlite3"
    damaged.write_bytes(b"no database" * 1000)
    assert await findings_of(known(damaged)) == []
