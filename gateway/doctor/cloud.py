"""Whether the cloud can be reached: entry, hub, and the clock by what they say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from gateway.cloud.http import tls_context
from gateway.cloud.protocol.trusted_urls import UntrustedUrl, host_of, validated_hub_url, with_scheme
from gateway.config.settings import CloudSection
from gateway.doctor.check_runner import aside
from gateway.doctor.clock import judged
from gateway.doctor.disk import stored_gateway
from gateway.doctor.known_config import Intake
from gateway.doctor.server_check import Server, Visit, visit
from gateway.errors import SettingsError
from gateway.hub import Credentials
from gateway.models import Finding


async def cloud_findings(intake: Intake) -> AsyncIterator[Finding]:
    """Yield whether entry and hub can be reached, and whether the clock agrees with them. No key is sent anywhere."""
    settings = intake.settings
    if settings is None or not intake.knows("cloud.entry_url"):
        yield Finding.not_looked_at("entry", "which it is stands in the config, which cannot be understood")
        yield judged(datetime.now(UTC), [])
        return
    cloud = settings.cloud
    try:
        tls = tls_context(cloud.ca_file)
    except SettingsError:
        yield Finding.not_looked_at("entry", "cloud.ca_file cannot be used, as said above")
        yield judged(datetime.now(UTC), [])
        return
    is_usual = cloud.entry_url == CloudSection().entry_url
    key = None if is_usual else f'entry_url = "{cloud.entry_url}"'
    entry = Server(what="entry", url=cloud.entry_url, key=key, tls=tls)
    hub = await _hub(intake, cloud)
    to_hub = visit(Server(what="hub", url=hub, key=None, tls=tls)) if isinstance(hub, str) else _no_visit(hub)
    visits = await asyncio.gather(visit(entry), to_hub)
    for made in visits:
        for finding in made.findings:
            yield finding
    told = sorted((made for made in visits if made.time is not None), key=lambda made: not made.is_proven)
    yield judged(datetime.now(UTC), [made.time for made in told if made.time is not None])


async def _no_visit(finding: Finding) -> Visit:
    return Visit([finding])


async def _hub(intake: Intake, cloud: CloudSection) -> str | Finding:
    """Return the address of the hub, or why there is none."""
    path = None if intake.settings is None or not intake.knows("store.path") else intake.settings.store.path
    gateway = None if path is None else await aside(lambda: stored_gateway(path))
    credentials = None if gateway is None else gateway.credentials
    if credentials is None:
        return Finding.not_looked_at("hub", "the entry server names it when the gateway registers, which it has not done yet")
    return _address(credentials, cloud)


def _address(credentials: Credentials, cloud: CloudSection) -> str | Finding:
    text = credentials.hub_url_static_cert if cloud.hub == "hub_url_static_cert" else credentials.hub_url
    if not text:
        meaning = f"the registration brought no {cloud.hub}"
        return Finding.fault("hub", meaning, 'in [cloud]: hub = "hub_url"')
    try:
        return validated_hub_url(
            text, entry_url=cloud.entry_url, allow_plain_http=cloud.allow_plain_http, hub_hosts=cloud.hub_hosts
        )
    except UntrustedUrl as error:
        return Finding.fault("hub", f"no key is sent to it: {error}", f'in [cloud]: hub_hosts = ["{host_of(with_scheme(text))}"]')
