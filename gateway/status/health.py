"""Whether the gateway is able to do its job. Nothing here waits."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from gateway.status.snapshot import Shown, Snapshot, Text


class Health(Shown):
    """The process lives and its event loop turns."""

    is_alive: bool = True


class Readiness(Shown):
    """Whether it can do its job."""

    is_ready: bool
    reasons: tuple[Text, ...] | None = Field(default=None, description="why not; left out for who has no token")


def readiness(snapshot: Snapshot, store_problem: str | None, *, hub_gone_limit: timedelta | None) -> Readiness:
    """Return whether something can be stored, the cloud knows the gateway and, with a limit, is not gone for longer."""
    gateway = snapshot.gateway
    reasons = []
    if store_problem is not None:
        reasons.append(f"nothing can be stored: {store_problem}")
    if not gateway.is_registered:
        reasons.append(f"not registered with the cloud: {gateway.problem or 'it is being tried'}")
    if hub_gone_limit is not None and gateway.hub.is_reachable is False and gateway.hub.since is not None:
        gone = snapshot.at - gateway.hub.since
        if gone > hub_gone_limit:
            reasons.append(f"the cloud has not been reachable for {gone.total_seconds():.0f} s: {gateway.hub.problem}")
    return Readiness(is_ready=not reasons, reasons=tuple(reasons))
