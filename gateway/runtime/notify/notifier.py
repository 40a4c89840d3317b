"""Decide which incidents a person is told, and send them: together, at most once a minute, again while sending fails."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.backoff import Backoff
from gateway.config.settings import NotifySection
from gateway.runtime.notify.channel import Channel, NotSent
from gateway.runtime.notify.mail import Mail
from gateway.runtime.notify.messages import PRIORITIES, Message, Notice
from gateway.runtime.notify.webhook import Webhook
from gateway.state.history.timeline import EventKind, Timeline, TimelineEvent
from gateway.state.incidents import OpenIncident, OverIncident
from gateway.status.notifications_view import ChannelState, SendOutcome
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

GATHER_SECONDS: Final = 5.0
"""What opens so soon after the first is in the same message."""
MESSAGE_EVERY_SECONDS: Final = 60.0
FIRST_RETRY_SECONDS: Final = 30.0
MOST_RETRY_SECONDS: Final = 3600.0
TOLD_OPEN: Final = "a person is told: "
TOLD_OVER: Final = "a person is told that it is over: "
MOST_WAITING: Final = 200
"""Notices that wait to be sent; then the oldest is dropped and counted."""


def channels_of(section: NotifySection) -> list[Channel]:
    """Return the ways to a person that are configured."""
    channels: list[Channel] = []
    if section.webhook is not None:
        channels.append(Webhook(section.webhook, section))
    if section.smtp_host is not None:
        channels.append(Mail(section.smtp_host, section))
    return channels


class _Sender:
    """Sends what waits by one channel."""

    def __init__(self, channel: Channel, message_of: Callable[[Sequence[Notice], int], Message]) -> None:
        self.channel = channel
        self.problem: str | None = None
        self.sent_at: datetime | None = None
        self.waiting: deque[Notice] = deque()
        self._message_of = message_of
        self._left_out = 0
        self._has_news = asyncio.Event()

    def take(self, notice: Notice) -> None:
        if len(self.waiting) >= MOST_WAITING:
            self.waiting.popleft()
            self._left_out += 1
        self.waiting.append(notice)
        self._has_news.set()

    async def run(self) -> None:
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        while True:
            await self._has_news.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._has_news.clear()
            notices, left_out = list(self.waiting), self._left_out
            if (problem := await self._send(self._message_of(notices, left_out))) is not None:
                if self.problem is None:
                    log.warning("%s: incidents cannot be told: %s; it is tried again", self.channel.name, problem)
                self.problem = problem
                self._has_news.set()
                await asyncio.sleep(backoff.next_wait_seconds())
                continue
            if self.problem is not None:
                log.info("%s: incidents are told again", self.channel.name)
            self.problem, self.sent_at = None, datetime.now(UTC)
            backoff.reset()
            sent = set(map(id, notices))
            self.waiting = deque(one for one in self.waiting if id(one) not in sent)
            self._left_out -= left_out
            await asyncio.sleep(MESSAGE_EVERY_SECONDS - GATHER_SECONDS)

    async def _send(self, message: Message) -> str | None:
        """Return why a message could not be sent; `None` when it was."""
        try:
            await self.channel.send(message)
        except NotSent as error:
            return str(error)
        except Exception as error:  # the buses run in the same task group: a bug in here must cost notifications only
            log.exception("%s: a notification failed", self.channel.name)
            return type(error).__name__
        return None


@dataclass(slots=True)
class _Seen:
    incident: OpenIncident
    since: float
    is_told: bool = False


class Notifier:
    """Implements `gateway.status.notifications_view.NotificationsView`.

    Args:
        section: what is told.
        channels: the ways to a person.
        gateway: the name of this gateway.
        name_of: returns the name of a child by its key, `None` for one that is gone.
        timeline: keeps what a person was told, so that the end is told also after a restart; `None` for nowhere.
    """

    def __init__(
        self,
        section: NotifySection,
        channels: Sequence[Channel],
        gateway: str,
        name_of: Callable[[str], str | None],
        timeline: Timeline | None = None,
    ) -> None:
        self._section = section
        self._gateway = gateway
        self._name_of = name_of
        self._timeline = timeline
        self._told_before: dict[str, TimelineEvent] = {}
        """What an earlier run told as open and not as over, by cause."""
        self._seen: dict[str, _Seen] = {}
        self._senders = [_Sender(channel, self._message) for channel in channels]

    @property
    def channels(self) -> Sequence[ChannelState]:
        """The ways to a person that are configured."""
        return [ChannelState(one.channel.name, one.problem, len(one.waiting), one.sent_at) for one in self._senders]

    async def load(self) -> None:
        """Know what was told as open before the start, so that it is not told twice, and its end is told."""
        if self._timeline is not None and self._senders:
            latest = await self._timeline.latest_of_subjects([EventKind.NOTIFIED])
            self._told_before = {cause: event for cause, event in latest.items() if event.text.startswith(TOLD_OPEN)}

    def over(self, over: OverIncident) -> None:
        """Tell that an incident ended while the gateway did not run, where it was told as open before."""
        if self._told_before.pop(over.cause, None) is not None:
            incident = OpenIncident(cause=over.cause, child=over.child, title=over.title, what_to_do="")
            self._tell(incident, is_open=False, at=over.at)

    def take(self, incidents: Sequence[OpenIncident]) -> None:
        """Take the incidents that are open now; it neither waits nor fails."""
        now, current = loop_time(), {one.cause: one for one in incidents}
        for cause in self._seen.keys() - current.keys():
            if (gone := self._seen.pop(cause)).is_told:
                self._tell(gone.incident, is_open=False)
        for cause, incident in current.items():
            was_told = self._told_before.pop(cause, None) is not None
            seen = self._seen.setdefault(cause, _Seen(incident, now, is_told=was_told))
            if not seen.is_told and now - seen.since >= self._section.after.total_seconds() and self._matters(incident):
                seen.is_told = True
                self._tell(incident, is_open=True)

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            for sender in self._senders:
                group.create_task(sender.run())

    async def test(self) -> Sequence[SendOutcome]:
        """Send a test by each channel, and return what the servers answered."""
        message = Message(gateway=self._gateway, page_url=self._section.page_url, notices=(), is_test=True)
        return await asyncio.gather(*(_tested(one.channel, message) for one in self._senders))

    def _matters(self, incident: OpenIncident) -> bool:
        return incident.priority <= PRIORITIES.index(self._section.priority) + 1

    def _tell(self, incident: OpenIncident, *, is_open: bool, at: datetime | None = None) -> None:
        device = None if incident.child is None else self._name_of(incident.child) or incident.child
        notice = Notice(incident=incident, is_open=is_open, at=at or datetime.now(UTC), device=device)
        for sender in self._senders:
            sender.take(notice)
        if self._timeline is not None and self._senders:
            text = f"{TOLD_OPEN if is_open else TOLD_OVER}{incident.title}"
            self._timeline.record(EventKind.NOTIFIED, text, child=incident.child, subject=incident.cause)

    def _message(self, notices: Sequence[Notice], left_out: int) -> Message:
        return Message(gateway=self._gateway, page_url=self._section.page_url, notices=notices, left_out=left_out)


async def _tested(channel: Channel, message: Message) -> SendOutcome:
    try:
        return SendOutcome(channel.name, is_sent=True, text=await channel.send(message))
    except NotSent as error:
        return SendOutcome(channel.name, is_sent=False, text=str(error))
