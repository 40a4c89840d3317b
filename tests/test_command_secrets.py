"""What a device declares as secret, or a name says to be, is in no record and in no text."""

from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr

from gateway.command_secrets import is_masked, mask_by_name, mask_parameters, secrets_of, without_secrets
from gateway.models import CommandSpec
from gateway.url_secrets import MASK


class Network(BaseModel):
    ssid: str
    phrase: SecretStr


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    level: int = 0
    code: SecretStr | None = None
    codes: list[Annotated[SecretStr, Field(min_length=4)]] = []
    network: Network | None = None
    networks: dict[str, list[Network]] = {}
    named: str | None = Field(default=None, alias="shown-as")


SPECS = (CommandSpec(name="set", title="Set", parameters=Parameters),)
HIDDEN = "hunter2"


@pytest.mark.parametrize(
    "given",
    [
        {"code": HIDDEN},
        {"code": [HIDDEN]},
        {"codes": [HIDDEN, HIDDEN]},
        {"codes": HIDDEN},
        {"network": {"ssid": "hall", "phrase": HIDDEN}},
        {"network": HIDDEN},
        {"networks": {"a": [{"ssid": "hall", "phrase": HIDDEN}]}},
        {"kode": HIDDEN},
        {"level": {"password": HIDDEN}},
    ],
)
def test_a_secret_is_masked_wherever_and_in_whatever_form_it_arrives(given):
    masked = mask_parameters(SPECS, "set", {"level": 5, "shown-as": "hall", **given})
    assert HIDDEN not in repr(masked)
    assert masked["shown-as"] == "hall"
    assert is_masked(masked)


def test_parameters_without_secrets_are_recorded_as_they_came():
    given = {"level": 5, "shown-as": None}
    assert mask_parameters(SPECS, "set", given) == given
    assert not is_masked(given)


def test_nothing_of_an_unknown_command_is_recorded_where_commands_are_declared():
    assert mask_parameters(SPECS, "sett", {"code": HIDDEN}) == {"code": MASK}


def test_without_declarations_the_names_tell_what_is_secret():
    given = {"wifi": [{"ssid": "hall", "psk": HIDDEN}], "pin": 1234, "spinning": True}
    assert mask_parameters((), "set", given) == {"wifi": [{"ssid": "hall", "psk": MASK}], "pin": MASK, "spinning": True}
    assert mask_by_name({"api_key": HIDDEN, "keyboard": "de"}) == {"api_key": MASK, "keyboard": "de"}


def test_secrets_are_removed_from_texts_the_longest_first():
    parameters = {"code": SecretStr("hunter"), "raw": [SecretBytes(b"\xffhunter2")], "password": HIDDEN, "empty": SecretStr("")}
    secrets = secrets_of(parameters)
    assert secrets == {"hunter", "\ufffdhunter2", HIDDEN}
    assert without_secrets("got hunter2, not hunter", secrets) == f"got {MASK}, not {MASK}"
