"""Samples to the hub in bulk calls, the answers of each child taken in, and what was accepted forgotten."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence

from gateway.cloud.protocol.telemetry_flags import Flags
from gateway.errors import HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import (
    CHILDREN_PER_CALL,
    MESSAGE_BYTES,
    Credentials,
    Hub,
    HubEvent,
    Refusal,
    TelemetryAnswer,
    TelemetryMessage,
)
from gateway.models import Sample
from gateway.state.outbox import Outbox, QueuedSample
from gateway.state.registry import Registry

log = logging.getLogger(__name__)

ENTRY_FRAME_BYTES = 160
"""What a child's entry adds to a bulk body besides its values: id, status, timestamp, override."""

SINGLY_AT_ONCE = 50
"""How many samples of one child are sent with its own key before others have their turn."""

ABOUT_THE_BODY = frozenset({400, 413, 422})
"""Statuses with which the hub refuses a call for what is said in it (section 14)."""

UNHEARD_ROUNDS = 3
"""A child that is missing from so many answers in a row is asked for with its own key (section 17.7)."""

REFUSALS_REMEMBERED = 1000
"""After so many different ones they are told anew: a hub may put a time or a number into its words."""

_ABOUT_DATA = re.compile(r"telemetr|timestamp|status|override|must be|missing|blank|too l|valu|param", re.IGNORECASE)
_ABOUT_DEVICE = re.compile(r"not found|authori|access.token|deleted|unknown device", re.IGNORECASE)


class Delivery:
    """Brings the outbox to the hub, one sample of each child and call, the oldest first.

    What the hub clearly has against a sample costs that sample. Where it is unclear what it has against a child's sample, that
    is kept, and `on_doubt` is told the child, so that its own key can show what is the matter.
    """

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        outbox: Outbox,
        *,
        on_event: Callable[[HubEvent], None],
        on_doubt: Callable[[str], None],
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._outbox = outbox
        self._on_event = on_event
        self._on_doubt = on_doubt
        self._flags = Flags()
        self._introduced: set[str] = set()
        self._held: set[str] = set()
        self._unheard: Counter[str] = Counter()
        self._refusals_said: set[tuple[str, str]] = set()

    def is_introduced(self, device_id: str) -> bool:
        """Tell whether the device's first message since the start was accepted; until then it replaces the whole state."""
        return device_id in self._introduced

    def space_version(self, device_id: str) -> int | None:
        """See `Flags.space_version`."""
        return self._flags.space_version(device_id)

    def begin_round(self) -> None:
        """Give those that were held back another chance."""
        self._held.clear()

    def forget(self) -> None:
        """Begin anew, as after a start: the gateway was registered anew."""
        for known_of_old in (self._introduced, self._held, self._unheard):
            known_of_old.clear()

    async def send_oldest(self, parent: Credentials) -> bool:
        """Send one sample of each of the children that have waited longest; return whether there were any."""
        kept = await self._outbox.oldest(CHILDREN_PER_CALL, parent_id=parent.device_id, without=self._held)
        if kept:
            await self._send(parent, _that_fit(kept))
        return bool(kept)

    async def send_singly(self, device: Credentials, child: str) -> None:
        """Send what waits for one child with its own key, which was accepted just now without any values."""
        for kept in await self._outbox.oldest_of(child, SINGLY_AT_ONCE):
            try:
                answer = await self._hub.send_telemetry(device, self._message(device.device_id, kept.sample))
            except HubRejected as error:
                if isinstance(error, HubUnauthorised) or error.status not in ABOUT_THE_BODY:
                    return
                await self._drop(kept, error.error)
                continue
            await self._outbox.confirm([kept])
            self.accepted(device.device_id, answer)

    def accepted(self, device_id: str, answer: TelemetryAnswer) -> None:
        """Take in the answer to an accepted message, and tell what its flags say."""
        self._introduced.add(device_id)
        for event in self._flags.heard(device_id, answer):
            self._on_event(event)

    def say_refusal(self, who: str, why: str) -> None:
        """Log what the hub has against a device's telemetry, once."""
        if len(self._refusals_said) >= REFUSALS_REMEMBERED:
            self._refusals_said.clear()
        if (who, why) not in self._refusals_said:
            self._refusals_said.add((who, why))
            log.warning("%s: the hub refuses its telemetry: %s", who, why)

    async def _send(self, parent: Credentials, batch: Sequence[QueuedSample]) -> None:
        refused: list[tuple[QueuedSample, HubRejected]] = []
        is_answered = await self._send_or_halve(parent, batch, refused)
        for one, _ in refused if is_answered else refused[:1]:
            self._doubt(one.sample.child)
        if len(refused) > 1 and not is_answered:  # it has something against the call rather than against every single sample
            _, error = refused[0]
            raise HubUnreachable(str(error), maybe_done=False, status=error.status) from error

    async def _send_or_halve(
        self, parent: Credentials, batch: Sequence[QueuedSample], refused: list[tuple[QueuedSample, HubRejected]]
    ) -> bool:
        """Send a batch, and when the call is refused, its halves, down to the samples because of which it is.

        These go into `refused`. Return whether any of the calls was answered.
        """
        known = [(one, device_id) for one in batch if (device_id := self._device_id(one)) is not None]
        self._held.update(one.sample.child for one in batch if self._device_id(one) is None)
        if not known:
            return True
        try:
            answers = await self._hub.send_child_telemetries(parent, {id_: self._message(id_, one.sample) for one, id_ in known})
        except HubUnauthorised:
            raise
        except HubRejected as error:
            if error.status not in ABOUT_THE_BODY:
                raise HubUnreachable(str(error), maybe_done=False, status=error.status) from error
            if len(known) == 1:
                refused.append((known[0][0], error))
                return False
            halves = (batch[: len(batch) // 2], batch[len(batch) // 2 :])
            return any([await self._send_or_halve(parent, half, refused) for half in halves])
        await self._settle([(one, device_id, answers.get(device_id)) for one, device_id in known])
        return True

    async def _settle(self, answered: Sequence[tuple[QueuedSample, str, TelemetryAnswer | Refusal | None]]) -> None:
        await self._outbox.confirm(one for one, _, answer in answered if isinstance(answer, TelemetryAnswer))
        for one, device_id, answer in answered:
            child = one.sample.child
            if isinstance(answer, TelemetryAnswer):
                self._unheard.pop(child, None)
                self.accepted(device_id, answer)
            elif answer is None:  # neither accepted nor refused: once more in the next round
                self._held.add(child)
                self._unheard[child] += 1
                if self._unheard[child] >= UNHEARD_ROUNDS:
                    self._doubt(child)
            elif _is_about_data(answer.error):
                await self._drop(one, answer.error)
            else:
                self._doubt(child)

    def _doubt(self, child: str) -> None:
        """Send nothing of this child in bulk until the next round, and have it looked into meanwhile."""
        self._held.add(child)
        self._on_doubt(child)

    async def _drop(self, kept: QueuedSample, why: str) -> None:
        self.say_refusal(kept.sample.child, why)
        await self._outbox.drop([kept], f"the hub refused it: {why}")

    def _device_id(self, kept: QueuedSample) -> str | None:
        record = self._registry.children.get(kept.sample.child)
        return record.device_id if record is not None else None

    def _message(self, device_id: str, sample: Sample) -> TelemetryMessage:
        override = device_id not in self._introduced
        return TelemetryMessage(status=sample.status, values=sample.values, at=sample.at, override=override)


def _that_fit(kept: Sequence[QueuedSample]) -> list[QueuedSample]:
    """Return the first samples that fit into one body, at least one."""
    room = MESSAGE_BYTES - 1024
    fitting: list[QueuedSample] = []
    for one in kept:
        room -= one.size_bytes + ENTRY_FRAME_BYTES
        if fitting and room < 0:
            break
        fitting.append(one)
    return fitting


def _is_about_data(error: str) -> bool:
    """Whether the hub's words for one child are clearly about what was said of it rather than about the child itself."""
    return bool(_ABOUT_DATA.search(error)) and not _ABOUT_DEVICE.search(error)
