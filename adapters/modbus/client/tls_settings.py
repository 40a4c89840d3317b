"""The TLS settings of a host (Modbus/TCP Security Protocol Specification V36). Pure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.adapter import HostName

TLS_PORT = 802
"""The port of Modbus over TLS (Modbus/TCP Security Protocol Specification V36, section 6)."""

FINGERPRINT_DIGITS = 64


def parse_fingerprint(written: object) -> object:
    """Return a SHA-256 fingerprint, written as `AB:CD:...` in any case and with any separators, as bare small digits."""
    if not isinstance(written, str):
        return written
    digits = re.sub(r"^sha-?256[:=\s]*|[\s:-]", "", written, flags=re.IGNORECASE).lower()
    if not re.fullmatch(rf"[0-9a-f]{{{FINGERPRINT_DIGITS}}}", digits):
        raise ValueError(f"a SHA-256 fingerprint has {FINGERPRINT_DIGITS} hexadecimal digits")
    return digits


class TlsSettings(BaseModel):
    """The proofs of identity of the host and of the gateway."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    ca_file: Path | None = Field(
        default=None,
        description="PEM file with the authorities that may have signed the certificate of the host, or with its own; those that"
        " this machine knows, when left out",
    )
    certificate_file: Path | None = Field(
        default=None,
        description="PEM file with the certificate by which the host knows the gateway, and with those of its authorities",
    )
    key_file: Path | None = Field(
        default=None, description="PEM file with the private key of that certificate; not needed if it is in the same file"
    )
    key_password_file: Path | None = Field(default=None, description="file that contains only the password of the private key")
    server_name: HostName = Field(default="", description="name in the certificate of the host; its address, when left out")
    fingerprint: Annotated[str, BeforeValidator(parse_fingerprint)] | None = Field(
        default=None, description="SHA-256 of the certificate of the host: it alone is trusted, whoever signed it and until when"
    )

    @property
    def holder_of_key(self) -> Path | None:
        """The file with the private key."""
        return self.key_file if self.key_file is not None else self.certificate_file

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.certificate_file is None and (self.key_file or self.key_password_file) is not None:
            raise ValueError("there is a private key without a certificate: set `certificate_file`")
        if self.fingerprint is not None and self.ca_file is not None:
            raise ValueError("the host is trusted by `fingerprint` or by `ca_file`: keep one of the two")
        return self
