"""Determine the gateway's identity in the cloud: serial number, MAC and Cloud ID, made once and kept for life."""

from __future__ import annotations

import secrets
import string
from dataclasses import replace
from pathlib import Path

from gateway.config.settings import Configuration
from gateway.errors import SettingsError, SettingsProblem
from gateway.state.records import GatewayRecord

_CLOUD_ID_ALPHABET = string.ascii_letters + string.digits


def make_cloud_id(partner_code: str) -> str:
    """Return a new Cloud ID: the partner's short code and 22 letters or digits (device API reference, section 3.3)."""
    return partner_code + "".join(secrets.choice(_CLOUD_ID_ALPHABET) for _ in range(22))


def make_serial_number() -> str:
    """Return a serial number for a gateway without a configured one."""
    return f"XG-{secrets.token_hex(6).upper()}"


def gateway_identity(known: GatewayRecord | None, configuration: Configuration, *, machine_mac: str | None) -> GatewayRecord:
    """Return the identity to use: used values stay, missing ones are made.

    Raises:
        SettingsError: the config contains another serial number or MAC than the one this gateway has already registered under, or
            a MAC is needed and there is none.
    """
    section, cloud = configuration.settings.gateway, configuration.settings.cloud
    by_cloud_id = cloud.authentication == "cloud_id"
    if known is None:
        known = GatewayRecord(serial_number=section.serial_number or make_serial_number(), mac=None, cloud_id=None)
    for key, wanted, used in (("serial_number", section.serial_number, known.serial_number), ("mac", section.mac, known.mac)):
        if wanted is not None and used is not None and wanted != used:
            wrong = f"is {wanted!r}, but this gateway is registered under {used!r}"
            right = f"Put {used!r} back, or move the store and the file .identity beside it away to become another gateway"
            raise SettingsError(configuration.file, [SettingsProblem(f"gateway.{key}", wrong, right)])
    mac = known.mac or section.mac or machine_mac
    if mac is None and not by_cloud_id:
        right = "Set gateway.mac, as 02:00:5e:10:00:01"
        problem = SettingsProblem("gateway.mac", "is missing, and this machine has no network card", right)
        raise SettingsError(configuration.file, [problem])
    cloud_id = known.cloud_id or (make_cloud_id(cloud.partner_code or "") if by_cloud_id else None)
    return replace(known, mac=mac, cloud_id=cloud_id)


def mac_of_machine(cards: Path = Path("/sys/class/net")) -> str | None:
    """Return the MAC of the first real network card, by name; `None` when there is none."""
    for card in sorted(cards.glob("*")):
        try:
            mac = (card / "address").read_text(encoding="ascii").strip()
        except OSError:
            continue
        if mac and mac != "00:00:00:00:00:00" and len(mac) == 17:
            return mac
    return None
