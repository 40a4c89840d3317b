"""What `doctor` says of the certificates and keys of a host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trustme

from adapters.modbus import ModbusAdapter
from gateway.adapter import FindingState

NOW = datetime.now(UTC)


@pytest.fixture
def files(tmp_path):
    """Write an authority, and a certificate with its key, and return the TLS settings with them."""

    def write(authority=None, **certificate):
        authority = authority or trustme.CA()
        made = authority.issue_cert("gateway.local", **certificate)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        made.cert_chain_pems[0].write_to_path(tmp_path / "gateway.pem")
        made.private_key_pem.write_to_path(tmp_path / "gateway.key")
        (tmp_path / "gateway.key").chmod(0o600)
        names = {"ca_file": "ca.pem", "certificate_file": "gateway.pem", "key_file": "gateway.key"}
        return {key: str(tmp_path / name) for key, name in names.items()}

    return write


async def findings(settings, tls):
    given = settings(hosts=[{"host": "10.0.0.1", "name": "plc", "tls": tls}])
    return [one for one in [one async for one in ModbusAdapter.examine(given)] if one.what == "TLS of plc"]


async def test_what_is_right_is_said_with_what_it_does(settings, files, tmp_path):
    (finding,) = await findings(settings, files())
    assert finding.state is FindingState.FINE
    assert finding.meaning == f"the host is verified by {tmp_path}/ca.pem; the gateway shows {tmp_path}/gateway.pem"


async def test_a_certificate_that_ends_soon_is_a_warning(settings, files, tmp_path):
    (finding,) = await findings(settings, files(not_after=NOW + timedelta(days=9)))
    assert finding.state is FindingState.WARNING
    assert finding.meaning.startswith(f"the certificate of gateway.local in {tmp_path}/gateway.pem expires on ")
    assert finding.fix == "renew it; the gateway reads it anew at its next connection"


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        ({"not_before": NOW - timedelta(days=9), "not_after": NOW - timedelta(days=2)}, "has expired on"),
        ({"not_before": NOW + timedelta(days=2)}, "is valid from"),
    ],
    ids=["expired", "not valid yet"],
)
async def test_a_certificate_that_is_not_valid_is_a_fault(settings, files, certificate, says):
    (finding,) = await findings(settings, files(**certificate))
    assert finding.state is FindingState.FAULT
    assert says in finding.meaning


async def test_a_key_that_others_may_read_is_a_warning(settings, files, tmp_path):
    tls = files()
    (tmp_path / "gateway.key").chmod(0o644)
    warning, fine = await findings(settings, tls)
    assert warning.meaning == f"other users may read {tmp_path}/gateway.key (mode 0644), which contains a private key"
    assert (warning.state, warning.fix) == (FindingState.WARNING, f"chmod 600 {tmp_path}/gateway.key")
    assert fine.state is FindingState.FINE


async def test_a_file_that_cannot_be_used_is_a_fault(settings, files, tmp_path):
    tls = files()
    (tmp_path / "gateway.key").unlink()
    (finding,) = await findings(settings, tls)
    assert finding.state is FindingState.FAULT
    assert finding.meaning == f"{tmp_path}/gateway.key cannot be read: No such file or directory, so the host is not read"


async def test_a_host_without_tls_has_no_such_finding(settings):
    assert await findings(settings, None) == []
