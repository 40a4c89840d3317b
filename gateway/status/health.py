"""Decide whether the gateway is ready to do its job. Pure."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from gateway.status.model import StatusModel, Text
from gateway.status.snapshot import Snapshot


class Health(StatusModel):
    """The process runs and its event loop turns."""

    is_alive: bool = True
    gateway: Text = Field(description="the name of the gateway")
    store_id: str | None = Field(description="tells its store from others on this machine; null while it has none")
    run_id: str = Field(description="another one after each start")


class Readiness(StatusModel):
    """Whether the gateway can do its job."""

    is_ready: bool
    reasons: tuple[Text, ...] | None = Field(default=None, description="why not; left out for requests without the token")


def readiness(snapshot: Snapshot, store_problem: str | None, *, hub_gone_limit: timedelta | None) -> Readiness:
    """Return whether the store works, the gateway is registered, and the hub is not unreachable for longer than the limit."""
    gateway = snapshot.gateway
    reasons = []
    if store_problem is not None:
        reasons.append(f"nothing can be stored: {store_problem}")
    if gateway.identity_question is not None:
        reasons.append(gateway.identity_question)
    elif not gateway.is_registered:
        reasons.append(f"not registered with the cloud: {gateway.problem or 'registration is in progress'}")
    if hub_gone_limit is not None and gateway.hub.is_reachable is False and gateway.hub.since is not None:
        gone = snapshot.at - gateway.hub.since
        if gone > hub_gone_limit:
            reasons.append(f"the cloud has not been reachable for {gone.total_seconds():.0f} s: {gateway.hub.problem}")
    return Readiness(is_ready=not reasons, reasons=tuple(reasons))
