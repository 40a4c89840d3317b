"""Load the certificate of the page, again whenever its files have changed."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.tasks import loop_time

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
"""A renewed certificate is noticed within this time."""


class CertificateUnusable(Exception):
    """The page cannot be served with these files; the text says why, and names them."""


class PageCertificate:
    """The certificate of the page, which others may renew while the gateway runs."""

    def __init__(self, certificate: Path, key: Path | None = None, *, keep_valid: Callable[[], None] = lambda: None) -> None:
        """Use the certificate in these files.

        Args:
            certificate: a PEM file with the certificate, and with those of the authorities between it and a known one.
            key: the PEM file with its private key; `None` where that is in the same file.
            keep_valid: is called before the files are looked at, and renews them where that is the gateway's own work.
        """
        self._certificate = certificate
        self._key = key
        self._keep_valid = keep_valid
        self._context: ssl.SSLContext | None = None
        self._stamps: object = None
        self._look_at = 0.0
        self._told = ""

    def load(self) -> None:
        """Load the certificate.

        Raises:
            CertificateUnusable: it cannot be used.
        """
        self._look_at = loop_time() + LOOK_SECONDS
        self._keep_valid()
        self._stamps = self._stamps_of_files()
        self._context = load_context(self._certificate, self._key)

    def context(self) -> ssl.SSLContext | None:
        """Return what a new connection uses; where a renewed certificate cannot be used, the former one."""
        if self._context is not None and loop_time() >= self._look_at:
            self._look_at = loop_time() + LOOK_SECONDS
            try:
                self._keep_valid()
                if self._stamps_of_files() != self._stamps:
                    self.load()
                    log.info("the status page uses its renewed certificate, %s", self._certificate)
                self._told = ""
            except CertificateUnusable as error:
                if str(error) != self._told:
                    log.warning("the status page: %s; the former certificate remains in use", error)
                self._told = str(error)
        return self._context

    def _stamps_of_files(self) -> object:
        return [stamp_of(file) for file in (self._certificate, self._key) if file is not None]


def load_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return the TLS context of a server with this certificate: TLS 1.2 or newer.

    Raises:
        CertificateUnusable: it cannot be used.
    """
    holder = certificate if key is None else key
    if "-----BEGIN CERTIFICATE-----" not in _text_of(certificate):
        raise CertificateUnusable(f"{certificate} holds no certificate in PEM form")
    private = _text_of(holder)
    if "PRIVATE KEY-----" not in private:
        also = ": name the file with the key in [status] key" if key is None else ""
        raise CertificateUnusable(f"{holder} holds no private key in PEM form{also}")
    if "ENCRYPTED" in private:
        raise CertificateUnusable(f"the private key in {holder} is encrypted, and nobody is there to type its password")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateUnusable(
                f"the private key in {holder} does not belong to the certificate in {certificate}"
            ) from error
        text = f"the certificate in {certificate} and the key in {holder} cannot be used: {error.reason or error}"
        raise CertificateUnusable(text) from error
    return context


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise CertificateUnusable(f"{file} cannot be read: {error.strerror}") from error


def stamp_of(file: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is replaced or written; `None` if it cannot be found."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
