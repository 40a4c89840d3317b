from datetime import UTC, datetime

import pytest

from gateway.doctor.certificates import Certificate, why_not_trusted

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
CERTIFICATE = Certificate(issuer="Acme Proxy CA", names=["other.example"], not_before=NOW, not_after=NOW)


@pytest.mark.parametrize(("code", "certificate", "is_public", "meaning", "fix"), [
    (10, CERTIFICATE, True, "expired on 2026-12-01", "correct the clock"),
    (10, CERTIFICATE, False, "expired on 2026-12-01", "renew the certificate of h"),
    (9, CERTIFICATE, False, "not valid before 2026-12-01", "timedatectl"),
    (20, CERTIFICATE, True, 'signed by "Acme Proxy CA", an authority that this machine does not know: a proxy', "ca_file"),
    (18, CERTIFICATE, False, "Acme Proxy CA", "ca_file"),
    (20, None, False, "an authority that this machine does not know", "ca_file"),
    (62, CERTIFICATE, False, "a certificate for other.example", 'entry_url = "https://other.example"'),
    (62, CERTIFICATE, True, "another server answers in its place", "DNS"),
    (64, None, False, "another host", "reached directly"),
    (99, CERTIFICATE, False, "odd", "ask"),
])  # fmt: skip
def test_a_certificate_that_is_not_trusted(code, certificate, is_public, meaning, fix):
    said = why_not_trusted("h", code, "odd", certificate, NOW, is_public=is_public)
    assert meaning in said[0]
    assert fix in said[1]
