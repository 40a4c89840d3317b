from pydantic import SecretStr

from gateway.config.settings import CloudSection
from gateway.doctor.cloud import _trusted_hub_url
from gateway.hub import Credentials


def test_the_hub_of_the_registration_is_believed_as_the_gateway_believes_it():
    stored = Credentials(device_id="d", access_key=SecretStr("k-1"), hub_url="https://hub.evil.example")
    found = _trusted_hub_url(stored, CloudSection())
    assert found.state == "fault"
    assert found.fix == 'in [cloud]: hub_hosts = ["hub.evil.example"]'
    assert _trusted_hub_url(stored, CloudSection(hub_hosts=("hub.evil.example",))) == "https://hub.evil.example"
    assert _trusted_hub_url(stored, CloudSection(hub="hub_url_static_cert")).fix == 'in [cloud]: hub = "hub_url"'
