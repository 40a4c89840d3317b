"""Find what is wrong with the gateway itself: its store, its clock, and samples that were lost. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from gateway.doctor.clock import ServerTime, clock_finding
from gateway.models import Finding
from gateway.state.incidents import OpenIncident, Priority
from gateway.state.outbox import Loss, LossReason
from gateway.state.recovery.recoveries import Recovery, RecoveryKind

STORE_FAILS_AFTER = timedelta(seconds=5)
"""A write that fails once, because another process held the file for too long, is no incident."""

CLOCK_WRONG_BY = timedelta(minutes=1)
"""A smaller difference does not show in telemetry, and may be that of the server."""

RECOVERY_IS_SHOWN_FOR = timedelta(days=1)

BY_A_PERSON = (RecoveryKind.RESTORED, RecoveryKind.KEPT_IDENTITY, RecoveryKind.NEW_IDENTITY)

LOSSES_ARE_OVER_AFTER = timedelta(minutes=15)
"""The incident of lost samples is closed when no further one was lost for so long."""


FOR_WANT_OF_ROOM = (LossReason.THINNED, LossReason.DROPPED, LossReason.EXPIRED)


class StoreCause:
    """Whether the store fails."""

    def __init__(self) -> None:
        self._since: float | None = None

    def current(self, now: float, problem: str | None) -> Iterator[OpenIncident]:
        """Yield the incident while the store fails; `now` is the loop time."""
        if problem is None:
            self._since = None
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= STORE_FAILS_AFTER.total_seconds():
            yield OpenIncident(
                cause="store_failing",
                child=None,
                title="The gateway cannot store anything",
                what_to_do=f"The store fails: {problem}. Readings are kept in memory only, and nothing of them reaches the cloud"
                " until it works again. Free space on its disk, or replace the disk; `xyte-gateway doctor` on the gateway shows"
                " what is wrong with it.",
                priority=Priority.CRITICAL,
            )


class LossCause:
    """Whether samples were lost lately; those of a child that was deleted on purpose do not count."""

    def __init__(self, losses: Sequence[Loss]) -> None:
        self._known = _by_reason(losses)
        self._lost: Counter[LossReason] = Counter()  # since the incident was opened
        self._last_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether no sample was lost for a while, so that a further one is news."""
        return self._last_at is None

    def take(self, losses: Sequence[Loss], now: float) -> str | None:
        """Take in all losses since the store was created, and return what is new in words; `now` is the loop time."""
        by_reason = _by_reason(losses)
        new = by_reason - self._known
        self._known = by_reason
        if not new:
            return None
        self._lost += new
        self._last_at = now
        return _in_words(new)

    def current(self, now: float) -> Iterator[OpenIncident]:
        """Yield the incident until no sample was lost for a while."""
        if self._last_at is None:
            return
        if now - self._last_at >= LOSSES_ARE_OVER_AFTER.total_seconds():
            self._last_at = None
            self._lost.clear()
            return
        yield OpenIncident(
            cause="samples_lost",
            child=None,
            title="Samples were lost",
            what_to_do=f"Samples of devices will never arrive: {_in_words(self._lost)}. {self._advice()}",
            priority=Priority.HIGH,
        )

    def _advice(self) -> str:
        if any(self._lost[why] for why in FOR_WANT_OF_ROOM):
            return (
                "Check the connection to the cloud and the disk; `[store] most_mb`, `most_samples`, `keep_days` and `min_free_mb`"
                " set how much is kept during an outage."
            )
        if self._lost[LossReason.MERGED]:
            return "The store did not take them: free space on its disk, or replace the disk; `xyte-gateway doctor` checks it."
        if self._lost[LossReason.REJECTED]:
            return "The log of the gateway names the devices, and what the hub says."
        return "`xyte-gateway losses` names the devices."


def recovery_cause(recoveries: Sequence[Recovery], now: datetime) -> Iterator[OpenIncident]:
    """Yield the incident of a store that was lost, for a day: it is over, but a person has to know what is lost."""
    lately = [one for one in recoveries if one.kind not in BY_A_PERSON and timedelta(0) <= now - one.at < RECOVERY_IS_SHOWN_FOR]
    if lately:
        yield OpenIncident(
            cause="store_recovered",
            child=None,
            title="The store of the gateway was lost or damaged",
            what_to_do=f"{lately[-1].text}. Find out what removed or damaged the file; `xyte-gateway doctor` on the gateway"
            " checks its disk. `xyte-gateway backup` makes a copy that a new disk can begin with.",
            priority=Priority.HIGH,
        )


def clock_cause(ahead: timedelta | None, now: datetime, server: str) -> Iterator[OpenIncident]:
    """Yield the incident of a clock that differs too much from that of the cloud.

    Args:
        ahead: how far the clock of this machine is ahead of that of the server; `None` while that is not known.
        now: the time that it shows.
        server: the name of the server.
    """
    finding = _clock_finding(ahead, now, server)
    if finding is None:
        return
    yield OpenIncident(
        cause="clock_wrong",
        child=None,
        title="The clock of the gateway is wrong",
        what_to_do=f"{finding.meaning[:1].upper()}{finding.meaning[1:]}. Set it: {finding.fix}",
        priority=Priority.MODERATE,
    )


def clock_problem(ahead: timedelta | None, now: datetime, server: str) -> str | None:
    """Return how far the clock is from that of the cloud, as `clock_cause`; `None` where it is right or that is not known."""
    finding = _clock_finding(ahead, now, server)
    return None if finding is None else finding.meaning


def _clock_finding(ahead: timedelta | None, now: datetime, server: str) -> Finding | None:
    if ahead is None or abs(ahead) <= CLOCK_WRONG_BY:
        return None
    return clock_finding(now, [ServerTime(server, theirs=now - ahead, ours=now)])


def _in_words(lost: Counter[LossReason]) -> str:
    return "; ".join(f"{samples} because {why}" for why, samples in lost.most_common(3))


def _by_reason(losses: Sequence[Loss]) -> Counter[LossReason]:
    counted: Counter[LossReason] = Counter()
    for loss in losses:
        if not loss.why.is_intended:
            counted[loss.why] += loss.samples
    return counted
