"""Define where the emulator's four servers listen and under which URLs clients reach them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ssl import SSLContext
from typing import Final

from gateway.emulator.journal import ServerName

WILDCARD_HOSTS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not bound
LOOPBACK: Final = "127.0.0.1"
OTHER_LOOPBACK: Final[dict[ServerName, str]] = {"static": "127.0.0.2", "files": "127.0.0.3", "elsewhere": "127.0.0.4"}
"""On loopback each further server has a host of its own, so that one that is mistaken for another shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """The hosts and ports on which the emulator listens; port 0 takes a free one."""

    host: str = LOOPBACK
    entry_port: int = 0
    hub_port: int = 0
    ssl_context: SSLContext | None = None
    """Makes entry and hub speak HTTPS."""
    static_port: int = 0
    """The port of the hub with the static certificate."""
    static_ssl_context: SSLContext | None = None
    """Makes that hub speak HTTPS, with a certificate of another authority; without it, it is like the other servers."""
    files_port: int = 0
    """The port of the file server, which speaks plain HTTP."""

    def port(self, server: ServerName) -> int:
        """Return the port of a server as it was given."""
        return {"entry": self.entry_port, "hub": self.hub_port, "static": self.static_port, "files": self.files_port}.get(
            server, 0
        )

    def listening_host(self, server: ServerName) -> str:
        """Return the host on which a server listens."""
        return OTHER_LOOPBACK.get(server, self.host) if self.host == LOOPBACK else self.host

    def tls(self, server: ServerName) -> SSLContext | None:
        """Return the TLS context of a server; `None` for plain HTTP."""
        if server in ("files", "elsewhere"):
            return None
        return (self.static_ssl_context if server == "static" else None) or self.ssl_context

    def url(self, server: ServerName, port: int, host: str | None = None) -> str:
        """Return the URL of a server, without a trailing slash; `host` is used where it listens on a wildcard address."""
        own = self.listening_host(server)
        name = (host or LOOPBACK) if own in WILDCARD_HOSTS else own
        scheme = "http" if self.tls(server) is None else "https"
        return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}"
