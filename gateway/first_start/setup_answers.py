"""Keep the answers of a person to the questions of the set-up, and check what was entered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import SecretStr

from gateway.config.entered_texts import parse_entry_url, parse_guid, parse_name
from gateway.models import Found
from gateway.status.model import encode_id
from gateway.status.setup_view import FamilyChoice

USUAL_CLOUD: Final = "https://entry.xyte.io"
MOST_NAME: Final = 100
MOST_TEXT: Final = 300
"""Longer answers are cut: each has to be shown again."""

MODEL: Final = "model"
CHOICE: Final = "choice"
LEFT_OUT: Final = "left-out"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupAnswers:
    """The answers so far. Wrong ones are kept as they were entered, beside what is wrong with them; a key never is."""

    name: str = "Xyte gateway"
    entry_url: str = USUAL_CLOUD
    allow_plain_http: bool = False
    key: SecretStr | None = None
    """A key of the right form, which the cloud has not refused."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Device family -> what was entered as the id of its model."""
    choices: Mapping[str, FamilyChoice] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    """The keys of single devices that are left out."""
    admits_later: bool = True
    problems: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with an answer, by the name of its field."""
    is_given: bool = False
    """Whether the form was sent at all."""

    @property
    def models_in_use(self) -> Mapping[str, str]:
        """The ids of the models of those families that are admitted."""
        return {family: model for family, model in self.models.items() if self.choices.get(family) is FamilyChoice.ADMIT}


def answers_from(
    before: SetupAnswers, fields: Mapping[str, str], found: Iterable[Found], *, needs_key: bool
) -> tuple[SetupAnswers, SecretStr | None]:
    """Return the answers in a form, and the new hardware key in it, if any.

    Args:
        before: the answers so far; a key that was entered before counts.
        fields: the fields of the form.
        found: the found devices that the form has asked about.
        needs_key: whether the key has to be entered; else the environment may give it.
    """
    problems: dict[str, str] = {}
    answers = replace(
        before, is_given=True, allow_plain_http="allow_plain_http" in fields, admits_later=fields.get("later") != "ask"
    )
    name, url = fields.get("name", before.name)[:MOST_TEXT], fields.get("entry_url", before.entry_url)[:MOST_TEXT]
    try:
        name = parse_name(name, longest=MOST_NAME)
    except ValueError as error:
        problems["name"] = str(error)
    try:
        url = parse_entry_url(url, allow_plain_http=answers.allow_plain_http)
    except ValueError as error:
        problems["entry_url"] = str(error)
    key = _key_in(fields, before, problems, needs_key=needs_key)
    devices = list(found)
    families = sorted({one.family for one in devices if one.family and one.profile})
    models, choices = dict(before.models), dict(before.choices)
    for family in families:
        _read_family(family, fields, models, choices, problems)
    secret = key or before.key
    for family in [one for one in families if secret is not None and models[one] == secret.get_secret_value()]:
        models[family] = ""  # it would be shown
        problems[family_field(MODEL, family)] = "This is the hardware key. The model id is another one, under Model, Info."
    shown = {one.identity.key for one in devices if device_field(one) in fields}
    answers = replace(
        answers, name=name, entry_url=url, models=models, choices=choices, left_out=frozenset(shown), problems=problems
    )
    return answers, key


def family_field(kind: str, family: str) -> str:
    """Return the name of a family's field in the form."""
    return f"{kind}-{encode_id(family)}"


def device_field(found: Found) -> str:
    """Return the name of a device's field in the form."""
    return f"{LEFT_OUT}-{encode_id(found.identity.key)}"


def _read_family(
    family: str, fields: Mapping[str, str], models: dict[str, str], choices: dict[str, FamilyChoice], problems: dict[str, str]
) -> None:
    name = family_field(MODEL, family)
    written = fields.get(family_field(CHOICE, family), "")
    choice = choices[family] = FamilyChoice(written) if written in list(FamilyChoice) else FamilyChoice.ADMIT
    entered = models[family] = fields.get(name, models.get(family, ""))[:MOST_TEXT].strip()
    if choice is not FamilyChoice.ADMIT:
        return
    try:
        models[family] = parse_guid(entered, what="model id")
    except ValueError as error:
        problems[name] = str(error) if entered else "Enter the model id, or choose to decide later."


def _key_in(fields: Mapping[str, str], before: SetupAnswers, problems: dict[str, str], *, needs_key: bool) -> SecretStr | None:
    entered = fields.get("hardware_key", "")
    if not entered.strip():
        if needs_key and before.key is None:
            problems["hardware_key"] = "Enter the hardware key."
        return None
    try:
        return SecretStr(parse_guid(entered[:MOST_TEXT], what="hardware key"))
    except ValueError as error:
        problems["hardware_key"] = str(error)
    return None
