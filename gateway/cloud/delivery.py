"""Send the samples of the outbox in bulk calls, and remove those that the hub accepted or rejected."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from gateway.cloud.backlog_drain import BacklogDrain
from gateway.cloud.live_samples import LiveSamples, fitting
from gateway.cloud.protocol.telemetry_flags import FlagTracker
from gateway.cloud.refused_samples import REFUSED_IN_A_ROW, RefusedSamples, is_about_data
from gateway.errors import HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import (
    CHILDREN_PER_CALL,
    Credentials,
    Hub,
    HubEvent,
    RejectedEntry,
    TelemetryMessage,
    TelemetryResponse,
)
from gateway.models import Sample
from gateway.state.outbox import LossReason, Outbox, QueuedSample
from gateway.state.registry import Registry

log = logging.getLogger(__name__)

SINGLY_AT_ONCE = 50
"""The most samples of one child that are sent with its own key before other jobs have their turn."""

ABOUT_THE_BODY = frozenset({400, 413, 422})
"""The statuses of a call that is rejected for its body (section 14)."""

MISSING_ROUNDS = 3
"""A child that is missing from this many responses in a row is checked with its own key (section 17.7)."""

MAX_LOGGED_REJECTIONS = 1000
"""The most logged rejections to remember: a hub may put a time or a number into its error texts."""


class Delivery:
    """Sends the outbox to the hub, one sample of each child per call: the newest of children that are behind, then the oldest.

    A sample that the hub rejects for its data, in a text that the API documents, is dropped. For any other reason the sample is
    kept and `on_doubt` is called with the child, so that a call with the child's own key can show the reason; see
    `RefusedSamples` for what is refused then, too. `on_no_command` is called with the id of each device whose response says that
    no command waits for it.
    """

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        outbox: Outbox,
        *,
        on_event: Callable[[HubEvent], None],
        on_doubt: Callable[[str], None],
        on_no_command: Callable[[str], None] = lambda device_id: None,
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._outbox = outbox
        self._on_event = on_event
        self._on_doubt = on_doubt
        self._on_no_command = on_no_command
        self._flags = FlagTracker()
        self._live = LiveSamples(outbox)
        self._is_measured = False
        self.drain = BacklogDrain()
        """The sending of a backlog, with its progress."""
        self.refused_samples = RefusedSamples()
        """The samples that the hub refuses without a documented reason."""
        self._introduced: set[str] = set()
        self._held: set[str] = set()
        self._missing_rounds: Counter[str] = Counter()
        self._logged_rejections: set[tuple[str, str]] = set()

    def is_introduced(self, device_id: str) -> bool:
        """Return whether the device's first message since the start was accepted; until then it replaces the whole state."""
        return device_id in self._introduced

    def space_version(self, device_id: str) -> int | None:
        """See `FlagTracker.space_version`."""
        return self._flags.space_version(device_id)

    def begin_round(self) -> None:
        """Send the children again that were held back in the last round, and the newest samples ahead of a backlog."""
        self._held.clear()
        self._live.begin()
        self._is_measured = False

    def reset(self) -> None:
        """Begin as after a start: the gateway was registered again."""
        for children in (self._introduced, self._held, self._missing_rounds):
            children.clear()
        self._live.clear()
        self.refused_samples.clear()

    async def send_next(self, parent: Credentials, *, with_backlog: bool) -> bool:
        """Send the newest samples of children that are behind, once in each round, or else the oldest ones.

        Return whether there were any. Without the backlog, the oldest ones wait while there are many.
        """
        try:
            return await self._send_next(parent, with_backlog=with_backlog)
        except HubUnreachable:  # what waits when the hub is back is measured then, and the newest samples go first
            self._is_measured = False
            self._live.begin()
            raise

    async def _send_next(self, parent: Credentials, *, with_backlog: bool) -> bool:
        if not self._is_measured:
            await self._measure(parent)
        is_backlog = self.drain.is_under_way
        ahead = await self._live.next_batch(parent.device_id, self._skipped_children(), is_backlog=is_backlog)
        if ahead:
            await self._send(parent, ahead)
            return True
        return (with_backlog or not is_backlog) and await self.send_oldest(parent)

    async def send_oldest(self, parent: Credentials) -> bool:
        """Send one sample of each of the children that have waited longest; return whether there were any."""
        queued = await self._outbox.oldest(
            CHILDREN_PER_CALL,
            parent_id=parent.device_id,
            without=self._skipped_children(),
            skipping=self.refused_samples.samples_to_skip(),
        )
        if queued:
            await self._send(parent, fitting(queued))
        return bool(queued)

    async def send_singly(self, device: Credentials, child: str, *, at_most: int = SINGLY_AT_ONCE) -> int:
        """Send the oldest samples of one child with its own key, and return the number of calls.

        Raises:
            HubRejected: the hub refuses the child, not a sample.
        """
        calls = refused = 0
        if child in self.refused_samples.children_to_skip():
            return calls
        skipping = self.refused_samples.samples_to_skip()
        for queued in await self._outbox.oldest_of(child, min(at_most, SINGLY_AT_ONCE), skipping=skipping):
            calls += 1
            try:
                response = await self._hub.send_telemetry(device, self._message(device.device_id, queued.sample))
            except HubRejected as error:
                if isinstance(error, HubUnauthorised) or error.status not in ABOUT_THE_BODY:
                    raise
                refused += await self._settle_refused(queued, error.error)
                if refused >= REFUSED_IN_A_ROW or self.refused_samples.is_full_for(child):
                    self.refused_samples.hold(child, error.error)
                    break
                continue
            refused = 0
            await self._confirm([queued])
            self.accepted(device.device_id, response)
        return calls

    def accepted(self, device_id: str, response: TelemetryResponse) -> None:
        """Process the response to an accepted message and send the events of its flags."""
        self._introduced.add(device_id)
        if not response.command:
            self._on_no_command(device_id)
        for event in self._flags.new_events(device_id, response):
            self._on_event(event)

    def log_rejection(self, device: str, reason: str) -> None:
        """Log once why the hub rejects a device's telemetry."""
        if len(self._logged_rejections) >= MAX_LOGGED_REJECTIONS:
            self._logged_rejections.clear()
        if (device, reason) not in self._logged_rejections:
            self._logged_rejections.add((device, reason))
            log.warning("%s: the hub rejects its telemetry: %s", device, reason)

    async def _send(self, parent: Credentials, batch: Sequence[QueuedSample]) -> None:
        rejected: list[tuple[QueuedSample, HubRejected]] = []
        is_answered = await self._send_or_halve(parent, batch, rejected)
        for one, _ in rejected if is_answered else rejected[:1]:
            self._doubt(one.sample.child)
        if len(rejected) > 1 and not is_answered:  # the call is rejected rather than every single sample
            _, error = rejected[0]
            raise HubUnreachable(str(error), maybe_done=False, status=error.status) from error

    async def _send_or_halve(
        self, parent: Credentials, batch: Sequence[QueuedSample], rejected: list[tuple[QueuedSample, HubRejected]]
    ) -> bool:
        """Send a batch; when the call is rejected, send its halves, down to the samples that cause the rejection.

        These go into `rejected`. Return whether any of the calls was accepted.
        """
        known = [(one, device_id) for one in batch if (device_id := self._device_id(one)) is not None]
        self._held.update(one.sample.child for one in batch if self._device_id(one) is None)
        if not known:
            return True
        try:
            responses = await self._hub.send_child_telemetries(
                parent, {id_: self._message(id_, one.sample) for one, id_ in known}
            )
        except HubUnauthorised:
            raise
        except HubRejected as error:
            if error.status not in ABOUT_THE_BODY:
                raise HubUnreachable(str(error), maybe_done=False, status=error.status) from error
            if len(known) == 1:
                rejected.append((known[0][0], error))
                return False
            halves = (batch[: len(batch) // 2], batch[len(batch) // 2 :])
            return any([await self._send_or_halve(parent, half, rejected) for half in halves])
        await self._process_responses([(one, device_id, responses.get(device_id)) for one, device_id in known])
        return True

    async def _process_responses(
        self, responses: Sequence[tuple[QueuedSample, str, TelemetryResponse | RejectedEntry | None]]
    ) -> None:
        await self._confirm([queued for queued, _, response in responses if isinstance(response, TelemetryResponse)])
        for queued, device_id, response in responses:
            child = queued.sample.child
            if not isinstance(response, TelemetryResponse):
                self._live.not_accepted(queued)
            if isinstance(response, TelemetryResponse):
                self._missing_rounds.pop(child, None)
                self.accepted(device_id, response)
            elif response is None:  # neither accepted nor rejected: sent again in the next round
                self._held.add(child)
                self._missing_rounds[child] += 1
                if self._missing_rounds[child] >= MISSING_ROUNDS:
                    self._doubt(child)
            elif is_about_data(response.error):
                await self._drop(queued, response.error)
            else:
                self._doubt(child)

    def _doubt(self, child: str) -> None:
        """Send nothing of this child in bulk until the next round, and let its key be checked meanwhile."""
        self._held.add(child)
        self._on_doubt(child)

    async def _confirm(self, accepted: Sequence[QueuedSample]) -> None:
        await self._outbox.confirm(accepted)
        self.refused_samples.accepted(accepted)
        self.drain.sent(len(accepted))
        for queued in accepted:
            self._live.accepted(queued)

    async def _settle_refused(self, queued: QueuedSample, why: str) -> bool:
        """Drop a sample for a documented reason, or after a long time; keep it for any other. Return whether it is kept."""
        if not is_about_data(why):
            self.log_rejection(queued.sample.child, f"{why}. Its sample is kept and sent again later")
            if not self.refused_samples.refused(queued, why):
                return True
        self.refused_samples.gone(queued.seq)
        await self._drop(queued, why)
        return False

    async def _measure(self, parent: Credentials) -> None:
        """Find out how much waits, once in each round."""
        waiting = await self._outbox.deliverable(parent.device_id)
        oldest_at = None if self.drain.is_under_way else await self._outbox.oldest_at()
        self.drain.waiting(waiting.samples, waiting.children, oldest_at)
        self._is_measured = True

    def _skipped_children(self) -> set[str]:
        return self._held | self.refused_samples.children_to_skip()

    async def _drop(self, queued: QueuedSample, why: str) -> None:
        self.log_rejection(queued.sample.child, why)
        await self._outbox.drop([queued], LossReason.REJECTED)

    def _device_id(self, queued: QueuedSample) -> str | None:
        record = self._registry.children.get(queued.sample.child)
        return record.device_id if record is not None else None

    def _message(self, device_id: str, sample: Sample) -> TelemetryMessage:
        override = device_id not in self._introduced
        return TelemetryMessage(status=sample.status, values=sample.values, at=sample.at, override=override)
