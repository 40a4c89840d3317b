"""Decide to which URLs a key may be sent, and build their paths. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import SplitResult, quote, urlsplit

from gateway.cloud.protocol.refused_addresses import REASON, is_refused_host

PUBLIC_DOMAIN = "xyte.io"
"""The domain of the public service, provisioning server and hubs (device API reference, section 1)."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?")


class UntrustedUrl(ValueError):
    """No key may be sent to this URL. The text gives the reason and the setting that decides, and quotes only the host."""


def with_scheme(text: str) -> str:
    """Return a URL with a scheme and without a trailing slash; `https` is the default (section 1)."""
    address = text.strip()
    return (address if "://" in address else f"https://{address.lstrip('/')}").rstrip("/")


def validated_url(text: str, *, allow_plain_http: bool) -> str:
    """Return the URL of a server with its scheme; raise `UntrustedUrl` for anything but `https://host` or `https://host:port`.

    Plain http is accepted only where the settings allow it.
    """
    parts = _split(with_scheme(text))
    if parts.scheme not in {"https", "http"}:
        raise UntrustedUrl("the URL is neither https nor http")
    if parts.scheme == "http" and not allow_plain_http:
        raise UntrustedUrl(
            f"{parts.hostname} has a plain http URL, which shows the key to anyone on the network: "
            "set `allow_plain_http` if that is intended"
        )
    return f"{parts.scheme}://{parts.netloc.lower().rstrip(':')}"


def validated_hub_url(text: str, *, entry_url: str, allow_plain_http: bool = False, hub_hosts: Sequence[str] = ()) -> str:
    """Return the hub's URL with its scheme if a key may be sent there; raise `UntrustedUrl` if not.

    The URL came over the network. `hub_hosts` lists the trusted hosts, each exact or as `*.suffix`; when the entry server belongs
    to the public service, every host of the public service is trusted, too. Without either, as in a private deployment, every
    host name is trusted, but a bare IP address only together with plain http.
    """
    url = validated_url(text, allow_plain_http=allow_plain_http)
    host = host_of(url)
    trusted = (*hub_hosts, *_public_hosts(entry_url))
    if trusted and not any(host_matches(host, pattern) for pattern in trusted):
        raise UntrustedUrl(f"{host} is not a hub of {host_of(entry_url)}: list it in `hub_hosts` to trust it")
    if not trusted and not allow_plain_http and _is_ip_address(host):
        raise UntrustedUrl(f"{host} is a bare IP address: list it in `hub_hosts` to trust it")
    return url


def host_of(url: str) -> str:
    """Return the host of a URL in lower case, without port and trailing dot."""
    return (urlsplit(url).hostname or "").rstrip(".")


def encode_path(*segments: str) -> str:
    """Return a path with each segment percent-encoded; a slash in a segment becomes `%2F` (section 10.1).

    Raises:
        ValueError: a segment is empty, `.` or `..`.
    """
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ValueError("a path segment cannot be empty, `.` or `..`")
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def split_url(address: str) -> SplitResult:
    """Return the parts of a URL; raise `UntrustedUrl` where its host cannot be told for certain."""
    try:
        parts = urlsplit(address)
        has_port = parts.port != 0
    except ValueError as error:
        raise UntrustedUrl("it is not a valid URL") from error
    if not has_port or not _is_host(parts) or re.search(r"[\s\x00-\x1f\\]", address):
        raise UntrustedUrl("the URL has no usable host")
    if "@" in parts.netloc:
        raise UntrustedUrl(f"the URL has a user name before {parts.hostname}")
    if is_refused_host(parts.hostname or ""):
        raise UntrustedUrl(f"{parts.hostname} is {REASON}")
    return parts


def _split(address: str) -> SplitResult:
    parts = split_url(address)
    if parts.path or "?" in address or "#" in address:
        raise UntrustedUrl(f"the URL has a path, a query or a fragment after {parts.hostname}")
    return parts


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return _is_ip_address(host) if ":" in host else _HOST_NAME.fullmatch(host) is not None


def _is_ip_address(host: str) -> bool:
    """Return whether a host is an IP address, in old notations, too: `127.1` and `0x7f000001` work as addresses."""
    if ":" in host:
        try:
            return ipaddress.ip_address(host).version == 6
        except ValueError:
            return False
    return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rstrip(".").rpartition(".")[2]) is not None


def _public_hosts(entry_url: str) -> tuple[str, ...]:
    public = (PUBLIC_DOMAIN, f"*.{PUBLIC_DOMAIN}")
    return public if any(host_matches(host_of(entry_url), pattern) for pattern in public) else ()


def host_matches(host: str, pattern: str) -> bool:
    """Return whether a pattern, a host or `*.suffix`, names this host."""
    wanted = pattern.lower().rstrip(".")
    return host.endswith(wanted[1:]) if wanted.startswith("*.") else host == wanted
