"""Ask the cloud whether it knows a hardware key, before a gateway is registered with it."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass

from pydantic import SecretStr

from gateway.cloud.client import CloudAccess, HttpHub
from gateway.errors import HubError, HubRejected, SettingsError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswer:
    """What the cloud said about a hardware key."""

    is_refused: bool | None
    """`None` when it could not be asked, or answered something else."""
    text: str
    """Its answer, or why there is none, without the key."""


async def check_hardware_key(access: CloudAccess, key: SecretStr) -> KeyAnswer:
    """Return what the cloud says about a key. Nothing is registered, and nothing is raised.

    The reference documents no call for this. A registration that lacks all other data is always refused, and
    `Hardware key is invalid` is among the documented refusals (section 3.1). Whether a cloud looks at the key first is not
    documented: a key that is not refused here may still be refused at the registration.
    """
    try:
        async with HttpHub(access) as hub:
            made = await hub.offer_hardware_key(key)
            with suppress(HubError):  # documented nowhere; a device without a serial number is of no use to anybody
                await hub.delete_device(made)
            return KeyAnswer(is_refused=False, text="The cloud knows this key.")
    except HubRejected as error:
        said = error.error.lower()
        if "hardware key" in said or (error.status == 404 and "model" in said):
            return KeyAnswer(is_refused=True, text=error.error)
        if error.status in (400, 422):
            return KeyAnswer(is_refused=False, text=error.error)
        return KeyAnswer(is_refused=None, text=str(error))
    except (HubError, SettingsError) as error:
        return KeyAnswer(is_refused=None, text=str(error))
