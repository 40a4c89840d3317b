"""Decide from which servers a file may be fetched. Pure.

A link comes over the network, perhaps from a person who may send commands. It may carry a signature that opens the file, so no
text quotes more of it than the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

from gateway.cloud.protocol.trusted_urls import UntrustedUrl, host_matches, host_of, split_url
from gateway.errors import FileRefused

LONGEST_NAME = 150
"""The longest name of a file, in characters: a file system takes 255 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPolicy:
    """The servers from which files may be fetched."""

    hub_url: str
    """The hub's host is trusted."""
    file_hosts: tuple[str, ...] = ()
    """So are these, each exact or as `*.suffix`."""
    allow_plain_http: bool = False

    def check(self, url: str) -> None:
        """Check one link, also each one that a server redirects to.

        Raises:
            FileRefused: nothing may be fetched from there; the text names the host and the setting that decides.
        """
        try:
            parts = split_url(url)
        except UntrustedUrl as error:
            raise FileRefused(f"the link to the file cannot be used: {error}") from None  # the cause may quote the link
        host = host_of(url)
        if parts.scheme not in ({"https", "http"} if self.allow_plain_http else {"https"}):
            raise FileRefused(f"the file would come from {host} without TLS, so anyone on the network could replace it")
        if host != host_of(self.hub_url) and not any(host_matches(host, pattern) for pattern in self.file_hosts):
            raise FileRefused(
                f"no file is fetched from {host}: it is not the hub; list it in `file_hosts` in [cloud] to allow it"
            )

    def redirected(self, url: str, location: str) -> str:
        """Return the link that a server at `url` points to.

        Raises:
            FileRefused: nothing may be fetched from there.
        """
        try:
            target = urljoin(url, location)
        except ValueError:
            raise FileRefused(f"{host_of(url)} points to a link that cannot be used") from None
        self.check(target)
        return target


def file_name_of(url: str, name: str | None = None) -> str:
    """Return the name of the file: the given one, or the last part of the link.

    Raises:
        FileRefused: it is no plain name, so it could lie in another folder.
    """
    plain = name if name is not None else unquote(urlsplit(url).path.rpartition("/")[2])
    is_plain = plain == PurePosixPath(plain).name and "\\" not in plain and plain.isprintable() and not plain.startswith("-")
    if not is_plain or plain in {"", ".", ".."} or len(plain.encode()) > LONGEST_NAME:
        raise FileRefused("the file has no plain name: it is empty, too long, or leads to another folder")
    return plain
