"""Say how the cloud is reached under the settings of the section `[cloud]`. Pure."""

from __future__ import annotations

from gateway.cloud.client import CloudAccess
from gateway.config.settings import CloudSection


def cloud_access(cloud: CloudSection) -> CloudAccess:
    """Return how the cloud is reached under these settings."""
    return CloudAccess(
        entry_url=cloud.entry_url,
        allow_plain_http=cloud.allow_plain_http,
        ca_file=cloud.ca_file,
        use_static_cert=cloud.hub == "hub_url_static_cert",
        timeout_seconds=cloud.timeout_seconds,
        hub_hosts=cloud.hub_hosts,
    )
