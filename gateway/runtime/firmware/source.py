"""Find the firmware file that a command means, and fetch it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import SecretStr

from gateway import strict_json
from gateway.cloud.files.download import StagingFolder, WantedFile
from gateway.cloud.files.links import LinkPolicy
from gateway.cloud.rate_control import CallKind, RateControl
from gateway.config.settings import CloudSection
from gateway.errors import CommandRejected, FileRefused, HubError, HubUnreachable
from gateway.hub import Credentials, Hub
from gateway.models import Checkpoint, FirmwareFile, FirmwareParameters
from gateway.state.firmware_jobs import FirmwareOffers
from gateway.url_secrets import MASK

STOPPED_MEANWHILE = "nothing was installed: the gateway stopped while it fetched the file. Send the command again"
"""What opens a link is not recorded, so the file cannot be fetched again."""


@dataclass(frozen=True, slots=True)
class _Named:
    """A file as a command or an offer names it."""

    url: SecretStr
    version: str | None
    checksum: str | None
    signature: str | None


class FirmwareSource:
    """The firmware files of the cloud.

    Args:
        hub: the cloud.
        rate_control: every call counts.
        offers: the files that the cloud has offered.
        staging: where files are put.
        settings: the hosts that are trusted.
    """

    def __init__(
        self, hub: Hub, rate_control: RateControl, offers: FirmwareOffers, staging: StagingFolder, settings: CloudSection
    ) -> None:
        self._hub = hub
        self._rate_control = rate_control
        self._offers = offers
        self.staging = staging
        self._settings = settings

    async def fetch(self, device: Credentials, folder: str, given: FirmwareParameters, checkpoint: Checkpoint) -> FirmwareFile:
        """Return the file that a command names, or that the cloud offers to the device, whole and verified.

        Args:
            device: the device that gets it, with its own key.
            folder: the name of the file's folder.
            given: the parameters of the command.
            checkpoint: is called now and then while the file is fetched.

        Raises:
            CommandRejected: there is none, or it cannot be used; the text says why.
        """
        policy = LinkPolicy(
            hub_url=self._hub_url(device),
            file_hosts=self._settings.file_hosts,
            allow_plain_http=self._settings.allow_plain_http,
        )
        try:
            named = await self._named(device, given)
            staged = await self.staging.fetch(folder, WantedFile(url=named.url, checksum=named.checksum), policy, checkpoint)
        except (FileRefused, HubError) as error:
            raise CommandRejected(f"nothing was installed: {error}") from None  # the cause may quote the link
        return FirmwareFile(
            path=staged.path, size=staged.size, sha256=staged.sha256, version=named.version, signature=named.signature
        )

    async def offered_version(self, device: Credentials) -> str | None:
        """Return the version that the cloud has offered to a device last."""
        offer = await self._offers.of(device.device_id)
        return None if offer is None else offer.version

    def _hub_url(self, device: Credentials) -> str:
        static = device.hub_url_static_cert if self._settings.hub == "hub_url_static_cert" else None
        return static or device.hub_url

    async def _named(self, device: Credentials, given: FirmwareParameters) -> _Named:
        if given.url is not None:
            if MASK in given.url:
                raise CommandRejected(STOPPED_MEANWHILE)
            return _Named(SecretStr(given.url), given.version, given.checksum, given.signature)
        offer = await self._offers.of(device.device_id)
        if offer is None or offer.file_id is None:
            raise CommandRejected("nothing was installed: the command names no link to a file, and the cloud offers none")
        if given.version is not None and given.version != offer.version:
            raise CommandRejected(
                f"nothing was installed: the command names version {given.version} and no link, and the cloud offers"
                f" {offer.version}"
            )
        await self._rate_control.wait(CallKind.FILES)
        try:
            file = await self._hub.get_file(device, offer.file_id)
        except HubUnreachable as error:
            self._rate_control.failed(CallKind.FILES, error)
            raise
        self._rate_control.answered(CallKind.FILES)
        if not file.url:
            raise CommandRejected("nothing was installed: the file that the cloud offers has no link")
        return _Named(
            SecretStr(file.url),
            file.version or offer.version,
            given.checksum or file.checksum,
            given.signature or file.signature,
        )


def folder_of(child: str | None, command_id: int | str) -> str:
    """Return the name of the folder for the file of a command, whatever its id contains."""
    return hashlib.sha256(strict_json.dumps([child, command_id]).encode()).hexdigest()[:32]
