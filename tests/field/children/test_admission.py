import re
from dataclasses import replace

import pytest

from gateway.config.settings import Policy
from gateway.field.children.admission import Declined, admit
from gateway.models import Found, Identity, IdentityKind
from gateway.state.records import Decision

FOUND = Found(
    address="3", identity=Identity(IdentityKind.SERIAL_NUMBER, "acme/1"), name="Meter", profile="acme", family="meter",
    sub_model="A1", serial_number="1", firmware_version="2",
)  # fmt: skip
UNKNOWN = replace(FOUND, profile=None, family=None)
MODELS = {"meter": "m-1"}


def ask(found=FOUND, policy=Policy.MATCHED, models=MODELS, decision=None):
    return admit(found, adapter="modbus", bus="hall", policy=policy, models=models, decision=decision)


def test_a_child_carries_everything_that_was_found():
    child = ask()
    assert (child.key, child.adapter, child.bus, child.address) == ("sn:acme/1", "modbus", "hall", "3")
    assert (child.model_id, child.sub_model, child.profile, child.firmware_version) == ("m-1", "A1", "acme", "2")


@pytest.mark.parametrize(
    ("found", "policy", "models", "decision", "reason"),
    [
        (UNKNOWN, Policy.MATCHED, MODELS, None, "no profile fits"),
        (FOUND, Policy.MATCHED, {}, None, "meter ="),
        (UNKNOWN, Policy.ALL, MODELS, None, '"\\*" ='),
        (FOUND, Policy.ASK, MODELS, None, "children admit sn:acme/1"),
        (FOUND, Policy.ALL, MODELS, Decision.IGNORE, "ignored"),
        (FOUND, Policy.ASK, {}, Decision.ADMIT, "meter ="),
    ],
)
def test_whoever_is_declined_is_told_what_would_help(found, policy, models, decision, reason):
    verdict = ask(found, policy, models, decision)
    assert isinstance(verdict, Declined)
    assert re.search(reason, verdict.why)


@pytest.mark.parametrize(
    ("found", "policy", "models", "decision", "model"),
    [
        (UNKNOWN, Policy.ALL, {"*": "any"}, None, "any"),
        (FOUND, Policy.ALL, {"*": "any", "meter": "m"}, None, "m"),
        (FOUND, Policy.MATCHED, {"*": "any"}, None, "any"),
        (FOUND, Policy.ASK, MODELS, Decision.ADMIT, "m-1"),
        (UNKNOWN, Policy.MATCHED, {"*": "any"}, Decision.ADMIT, "any"),
    ],
)
def test_the_policy_decides_and_a_person_outranks_it(found, policy, models, decision, model):
    assert ask(found, policy, models, decision).model_id == model
