"""Send a large file to the cloud in pieces: the first by Send Dump, the others by Append Dump (device API reference, section 10).

Append Dump is not idempotent: a piece whose response was lost may be there twice when it is sent again. The length in the
response shows that; the file is then sent anew, under another name.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TypeVar

from gateway.cloud.rate_control import CallKind, RateControl
from gateway.errors import HubRejected, HubUnreachable
from gateway.hub import Credentials, Hub
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK_BYTES = 64 * 1024
"""The size of one piece: a line of 52 kbit/s carries it within the 10 s of a call. No limit is published."""

TRIES = 6
"""How often a piece is sent; the rate control decides how long after a failure."""

COPIES = 3
"""How often the file is begun anew because a piece may be there twice."""

TELL_EVERY_SECONDS = 10.0


class UploadFailed(Exception):
    """The file is not in the cloud, or not completely; the text says why."""


class _PieceIsThereTwice(Exception):
    """A piece was sent again, and had arrived before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file to be sent."""

    name: str
    mime_type: str
    content: bytes


class DumpUpload:
    """Sends files, as the rate control allows.

    Args:
        hub: the cloud.
        rate_control: every call counts.
        within: after this time no failed piece is tried again.
    """

    def __init__(self, hub: Hub, rate_control: RateControl, *, within: timedelta = timedelta(minutes=15)) -> None:
        self._hub = hub
        self._rate_control = rate_control
        self._within = within

    async def send(self, device: Credentials, upload: Upload, tell: Callable[[str], None]) -> str:
        """Send a file, and return the name that it has in the cloud.

        Args:
            device: the device that it is a dump of, with its own key.
            upload: the file.
            tell: gets a sentence about how far it is, now and then; what it raises ends the upload.

        Raises:
            UploadFailed: it is not there, or not completely.
        """
        for copy in range(1, COPIES + 1):
            name = upload.name if copy == 1 else f"{copy}-{upload.name}"
            try:
                await self._send_copy(device, name, upload, tell)
            except _PieceIsThereTwice:
                log.info("%s: a piece may be there twice, since its response was lost; the file is sent anew", name)
            else:
                return name
        raise UploadFailed(f"{upload.name} is not complete in the cloud: the responses to its pieces were lost {COPIES} times")

    async def _send_copy(self, device: Credentials, name: str, upload: Upload, tell: Callable[[str], None]) -> None:
        content, told_at = upload.content, loop_time()
        give_up_at = loop_time() + self._within.total_seconds()
        receipt, _ = await self._call(
            partial(self._hub.send_dump, device, upload.mime_type, name, content[:CHUNK_BYTES]),
            f"{name}: none of it was sent",
            give_up_at,
        )
        for start in range(CHUNK_BYTES, len(content), CHUNK_BYTES):
            if loop_time() - told_at >= TELL_EVERY_SECONDS:
                told_at = loop_time()
                tell(f"{start // 1024} of {len(content) // 1024} KB are sent")
            piece = content[start : start + CHUNK_BYTES]
            length, is_doubtful = await self._call(
                partial(self._hub.append_dump, device, receipt.id, upload.mime_type, piece),
                f"{name}: only {start // 1024} of {len(content) // 1024} KB were sent",
                give_up_at,
            )
            if length != start + len(piece) and (is_doubtful or length is not None):
                raise _PieceIsThereTwice

    async def _call(self, call: Callable[[], Awaitable[T]], what: str, give_up_at: float) -> tuple[T, bool]:
        """Make a call until it succeeds; return its result, and whether it may have been carried out more than once."""
        is_doubtful = False
        for attempt in count(1):
            await self._rate_control.wait(CallKind.FILES)
            try:
                result = await call()
            except HubUnreachable as error:
                self._rate_control.failed(CallKind.FILES, error)
                is_doubtful |= error.maybe_done
                if attempt == TRIES or loop_time() >= give_up_at:
                    raise UploadFailed(f"{what}: {error}") from error
            except HubRejected as error:
                raise UploadFailed(f"{what}: {error}") from error
            else:
                self._rate_control.answered(CallKind.FILES)
                return result, is_doubtful
        raise AssertionError
