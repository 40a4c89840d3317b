"""Summarise the gateway itself: its identity, its registration, and its contact with the cloud."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway import __version__
from gateway.cloud.rate_control import RateControl
from gateway.config.settings import Settings
from gateway.runtime.claiming import claim_url_of
from gateway.runtime.parts import CloudParts
from gateway.state.parts import StateParts
from gateway.status.snapshot import FlashSummary, GatewaySummary, HubContact, RecoverySummary, UpdateNotice

RECOVERIES_ARE_SHOWN_FOR = timedelta(days=7)


def gateway_summary(
    settings: Settings,
    state: StateParts,
    cloud: CloudParts,
    *,
    at: datetime,
    started_at: datetime,
    notice: str | None,
    clock_problem: str | None = None,
    update: UpdateNotice | None = None,
) -> GatewaySummary:
    """Return the state of the gateway at this moment."""
    record = state.registry.gateway
    credentials = None if record is None else record.credentials
    reason = cloud.enrolment.reason if credentials is None else None
    serial_number = None if record is None else record.serial_number
    is_unclaimed = credentials is not None and cloud.session.is_claimed is False
    claim_url = claim_url_of(settings.cloud.claim_url, serial_number) if is_unclaimed else None
    return GatewaySummary(
        name=settings.gateway.name,
        version=__version__,
        started_at=started_at,
        serial_number=serial_number,
        mac=None if record is None else record.mac,
        is_registered=credentials is not None,
        is_claimed=cloud.session.is_claimed,
        claim_url=claim_url,
        claim_text=claim_url or serial_number if is_unclaimed else None,
        device_id=None if credentials is None else credentials.device_id,
        hub_url=None if credentials is None else credentials.hub_url,
        entry_url=settings.cloud.entry_url,
        problem=None if reason is None else reason.text,
        is_key_refused=credentials is None and cloud.enrolment.is_key_refused,
        cause=None if reason is None else reason.cause,
        next_step=None if reason is None else reason.next_step,
        tried_at=cloud.enrolment.tried_at if credentials is None else None,
        tries=cloud.enrolment.tries if credentials is None else 0,
        next_try_at=cloud.enrolment.next_try if credentials is None else None,
        hub=_hub_contact(cloud.session.rate_control, at),
        notice=notice,
        update=update,
        store_problem=state.store.problem,
        clock_problem=clock_problem,
        recoveries=tuple(
            RecoverySummary(at=one.at, text=one.text)
            for one in reversed(state.recoveries.all)
            if at - one.at < RECOVERIES_ARE_SHOWN_FOR
        ),
        identity_question=None if state.hardware.question is None else state.hardware.question.short,
        flash=_flash(state, settings.store.write_budget_tb * 1e12),
        mirror_problem=state.mirror.problem,
        rows_set_aside=state.store.rows_set_aside,
    )


def _flash(state: StateParts, budget_bytes: float) -> FlashSummary | None:
    use = state.flash.use()
    if use is None:
        return None
    return FlashSummary(
        written_bytes=use.written,
        bytes_per_day=use.per_day,
        budget_bytes=budget_bytes,
        years_left=use.years_left(budget_bytes),
    )


def _hub_contact(rate_control: RateControl, at: datetime) -> HubContact:
    wait_seconds, reason = rate_control.next_try_seconds, rate_control.reason
    return HubContact(
        is_reachable=rate_control.is_reachable,
        since=None if rate_control.is_reachable is None else rate_control.since,
        problem=None if reason is None else reason.text,
        cause=None if reason is None else reason.cause,
        next_step=None if reason is None else reason.next_step,
        tried_at=rate_control.tried_at,
        tries=rate_control.tries,
        next_try_at=None if wait_seconds is None else at + timedelta(seconds=wait_seconds),
    )
