"""Where a key may travel: addresses made whole, hosts that are trusted, paths that arrive as meant. Nothing here waits."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import SplitResult, quote, urlsplit

PUBLIC_DOMAIN = "xyte.io"
"""The public service lives here, provisioning server and hubs alike (device API reference, section 1)."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?")


class UntrustedAddress(ValueError):
    """No key is sent to this address. The text says why and, where a setting decides, which; it names the host only."""


def whole_url(text: str) -> str:
    """Return an address with a scheme and without a trailing slash; `https` when it names no scheme (section 1)."""
    address = text.strip()
    return (address if "://" in address else f"https://{address.lstrip('/')}").rstrip("/")


def validated_url(text: str, *, allow_plain_http: bool) -> str:
    """Return the address of a server, whole; raise `UntrustedAddress` for anything but `https://host` or `https://host:port`.

    Plain http is an address only where the settings allow it in words.
    """
    parts = _split(whole_url(text))
    if parts.scheme not in {"https", "http"}:
        raise UntrustedAddress("its address is neither https nor http")
    if parts.scheme == "http" and not allow_plain_http:
        raise UntrustedAddress(
            f"{parts.hostname} is to be reached by plain http, which shows the key to everybody on the way: "
            "set `allow_plain_http` if that is meant"
        )
    return f"{parts.scheme}://{parts.netloc.lower().rstrip(':')}"


def validated_hub_url(text: str, *, entry_url: str, allow_plain_http: bool = False, hub_hosts: Sequence[str] = ()) -> str:
    """Return the hub's address, whole, if a key may be sent there; raise `UntrustedAddress` if not.

    The address came over the network. `hub_hosts` lists the hosts that are trusted, each exact or as `*.suffix`; when the entry
    server is one of the public service, every host of the public service is trusted, too. Where neither says anything, as with a
    private deployment, every host name is trusted, but a bare IP address only together with plain http.
    """
    url = validated_url(text, allow_plain_http=allow_plain_http)
    host = host_of(url)
    trusted = (*hub_hosts, *_public_hosts(entry_url))
    if trusted and not any(_matches(host, pattern) for pattern in trusted):
        raise UntrustedAddress(f"{host} is not a hub of {host_of(entry_url)}: list it in `hub_hosts` if it is to be trusted")
    if not trusted and not allow_plain_http and _is_ip_address(host):
        raise UntrustedAddress(f"{host} is a bare IP address: list it in `hub_hosts` if it is to be trusted")
    return url


def host_of(url: str) -> str:
    """Return the host of an address in small letters, without port and without the dot that may end it."""
    return (urlsplit(url).hostname or "").rstrip(".")


def path_of(*segments: str) -> str:
    """Return a path in which each segment is percent-encoded whole: a slash within one goes out as `%2F` (section 10.1).

    Raises:
        ValueError: a segment is empty or would climb the path.
    """
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ValueError("a part of a path cannot be empty or made of dots alone")
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        has_port = parts.port != 0
    except ValueError as error:
        raise UntrustedAddress("its address is no URL") from error
    if not has_port or not _is_host(parts) or re.search(r"[\s\x00-\x1f\\]", address):
        raise UntrustedAddress("its address names no usable host")
    if "@" in parts.netloc:
        raise UntrustedAddress(f"its address puts a user name before {parts.hostname}")
    if parts.path or "?" in address or "#" in address:
        raise UntrustedAddress(f"its address says more than a host: a path, a query or a fragment after {parts.hostname}")
    return parts


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return _is_ip_address(host) if ":" in host else _HOST_NAME.fullmatch(host) is not None


def _is_ip_address(host: str) -> bool:
    """Tell IP addresses from names, the old spellings included: `127.1` and `0x7f000001` reach a host as well."""
    if ":" in host:
        try:
            return ipaddress.ip_address(host).version == 6
        except ValueError:
            return False
    return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rstrip(".").rpartition(".")[2]) is not None


def _public_hosts(entry_url: str) -> tuple[str, ...]:
    public = (PUBLIC_DOMAIN, f"*.{PUBLIC_DOMAIN}")
    return public if any(_matches(host_of(entry_url), pattern) for pattern in public) else ()


def _matches(host: str, pattern: str) -> bool:
    wanted = pattern.lower().rstrip(".")
    return host.endswith(wanted[1:]) if wanted.startswith("*.") else host == wanted
