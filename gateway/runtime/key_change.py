"""Take another hardware key while the gateway runs: tried at the cloud, kept in its file, and used for the registration."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from pydantic import SecretStr

from gateway.cloud.client import CloudAccess
from gateway.cloud.enrolment import Enrolment
from gateway.cloud.key_check import check_hardware_key
from gateway.config.entered_texts import parse_guid
from gateway.config.mistakes import variable_for
from gateway.config.settings import CloudSection
from gateway.config.writing import write_file

log = logging.getLogger(__name__)

NOT_WANTED = "This gateway is registered: its hardware key was used once, and is not needed any more."


class HardwareKeyChange:
    """The hardware key of a gateway that is not registered yet."""

    def __init__(self, cloud: CloudSection, enrolment: Enrolment) -> None:
        self._cloud = cloud
        self._access = CloudAccess(
            entry_url=cloud.entry_url,
            allow_plain_http=cloud.allow_plain_http,
            ca_file=cloud.ca_file,
            timeout_seconds=cloud.timeout_seconds,
        )
        self._enrolment = enrolment
        self._one_at_a_time = asyncio.Lock()

    def refusal(self) -> str | None:
        """Return why the key cannot be changed on the page; `None` where it can."""
        if self._enrolment.reason is None:
            return NOT_WANTED
        for key in ("hardware_key", "hardware_key_file"):
            if (variable := variable_for(("cloud", key))) is not None:
                return f"The environment variable {variable} gives the key. Change it there, and start the gateway again."
        if self._cloud.hardware_key_file is None:
            return "The key stands in the configuration, as cloud.hardware_key. Change it there, and restart the gateway."
        return None

    async def change(self, entered: str) -> str | None:
        """Try a key at the cloud, keep it and register with it; return why that failed, without the key."""
        async with self._one_at_a_time:
            if (refusal := self.refusal()) is not None:
                return refusal
            try:
                key = SecretStr(parse_guid(entered, what="hardware key"))
            except ValueError as error:
                return str(error)
            answer = await check_hardware_key(self._access, key)
            if answer.is_refused:
                return f"The cloud refuses this key: {answer.text}. Copy it again from the gateway's model in the Partner Portal."
            file = Path(self._cloud.hardware_key_file or "")
            try:
                await asyncio.to_thread(write_file, file, key.get_secret_value() + "\n")
            except OSError as error:
                return f"{file} cannot be written: {error.strerror}. Nothing has changed."
            log.warning("another hardware key was entered on the page; the gateway registers with it")
            self._enrolment.use_hardware_key(key)
            reason = await self._enrolment.try_now()
            return None if reason is None else f"The key is saved, but the gateway is still not registered: {reason.text}"
