"""Check whether the entry server and the hub can be reached, and compare the clock with theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from gateway.cloud.http import tls_context
from gateway.cloud.protocol.trusted_urls import UntrustedUrl, host_of, validated_hub_url, with_scheme
from gateway.config.settings import CloudSection
from gateway.doctor.check_runner import in_daemon_thread
from gateway.doctor.clock import clock_finding
from gateway.doctor.disk import stored_gateway
from gateway.doctor.known_config import KnownConfig
from gateway.doctor.server_check import Server, ServerReport, check_server
from gateway.errors import SettingsError
from gateway.hub import Credentials
from gateway.models import Finding


async def cloud_findings(known: KnownConfig) -> AsyncIterator[Finding]:
    """Yield whether entry server and hub can be reached, and whether the clock agrees with theirs. Sends no key."""
    settings = known.settings
    if settings is None or not known.knows("cloud.entry_url"):
        yield Finding.not_looked_at("entry", "its address is in the config, which cannot be read")
        yield clock_finding(datetime.now(UTC), [])
        return
    cloud = settings.cloud
    try:
        tls = tls_context(cloud.ca_file)
    except SettingsError:
        yield Finding.not_looked_at("entry", "cloud.ca_file cannot be used, as shown above")
        yield clock_finding(datetime.now(UTC), [])
        return
    is_default = cloud.entry_url == CloudSection().entry_url
    config_line = None if is_default else f'entry_url = "{cloud.entry_url}"'
    entry = Server(what="entry", url=cloud.entry_url, config_line=config_line, tls=tls)
    hub = await _hub_url(known, cloud)
    hub_check = check_server(Server(what="hub", url=hub, config_line=None, tls=tls)) if isinstance(hub, str) else _no_check(hub)
    reports = await asyncio.gather(check_server(entry), hub_check)
    for report in reports:
        for finding in report.findings:
            yield finding
    with_time = sorted((report for report in reports if report.time is not None), key=lambda report: not report.is_trusted)
    yield clock_finding(datetime.now(UTC), [report.time for report in with_time if report.time is not None])


async def _no_check(finding: Finding) -> ServerReport:
    return ServerReport([finding])


async def _hub_url(known: KnownConfig, cloud: CloudSection) -> str | Finding:
    """Return the address of the hub, or the finding why there is none."""
    path = None if known.settings is None or not known.knows("store.path") else known.settings.store.path
    gateway = None if path is None else await in_daemon_thread(lambda: stored_gateway(path))
    credentials = None if gateway is None else gateway.credentials
    if credentials is None:
        return Finding.not_looked_at("hub", "the gateway gets its address when it registers, which has not happened yet")
    return _trusted_hub_url(credentials, cloud)


def _trusted_hub_url(credentials: Credentials, cloud: CloudSection) -> str | Finding:
    text = credentials.hub_url_static_cert if cloud.hub == "hub_url_static_cert" else credentials.hub_url
    if not text:
        meaning = f"the registration contained no {cloud.hub}"
        return Finding.fault("hub", meaning, 'in [cloud]: hub = "hub_url"')
    try:
        return validated_hub_url(
            text, entry_url=cloud.entry_url, allow_plain_http=cloud.allow_plain_http, hub_hosts=cloud.hub_hosts
        )
    except UntrustedUrl as error:
        return Finding.fault("hub", f"no key is sent to it: {error}", f'in [cloud]: hub_hosts = ["{host_of(with_scheme(text))}"]')
