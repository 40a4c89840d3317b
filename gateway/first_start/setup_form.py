"""Show the questions of the set-up with the answers so far, and say what is decided about each found device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from gateway.first_start.first_look import ScannedBus
from gateway.first_start.search import shown_device
from gateway.first_start.setup_answers import MODEL, SetupAnswers, device_field, family_field
from gateway.models import Found
from gateway.state.records import Decision
from gateway.status.model import encode_id
from gateway.status.setup_view import SHOWN_DEVICES, FamilyChoice, SetupFamily, SetupFamilyDevice, SetupForm

Devices = Sequence[tuple[ScannedBus, Found]]


def setup_form(answers: SetupAnswers, found: Devices, *, key_from: str | None) -> SetupForm:
    """Return the form.

    Args:
        answers: the answers so far.
        found: the found devices, each with its bus.
        key_from: what gives the hardware key already; `None` where it has to be entered.
    """
    families: dict[str, list[tuple[ScannedBus, Found]]] = {}
    unmatched: list[tuple[ScannedBus, Found]] = []
    for bus, one in found:
        (families.setdefault(one.family, []) if one.family and one.profile else unmatched).append((bus, one))
    return SetupForm(
        name=answers.name,
        entry_url=answers.entry_url,
        allow_plain_http=answers.allow_plain_http,
        has_key=answers.key is not None,
        key_from=key_from,
        families=tuple(_family(name, families[name], answers) for name in sorted(families)),
        unmatched=_listed(unmatched, answers),
        unmatched_count=len(unmatched),
        admits_later=answers.admits_later,
        problems=answers.problems,
    )


def decisions_of(answers: SetupAnswers, found: Devices) -> Mapping[str, tuple[Found, Decision]]:
    """Return what a person has decided about single devices: those left out, and those admitted where later ones wait."""
    decisions: dict[str, tuple[Found, Decision]] = {}
    for _, one in found:
        key, choice = one.identity.key, answers.choices.get(one.family or "", FamilyChoice.LATER)
        if key in answers.left_out or choice is FamilyChoice.IGNORE:
            decisions[key] = one, Decision.IGNORE
        elif choice is FamilyChoice.ADMIT and one.profile is not None and not answers.admits_later:
            decisions[key] = one, Decision.ADMIT
    return decisions


def _family(name: str, devices: Devices, answers: SetupAnswers) -> SetupFamily:
    profiles = list(dict.fromkeys(one.profile for _, one in devices if one.profile))
    return SetupFamily(
        id=encode_id(name),
        name=name,
        devices=_listed(devices, answers),
        count=len(devices),
        profiles=", ".join(profiles[:5]) + (f" and {len(profiles) - 5} others" if len(profiles) > 5 else ""),
        choice=answers.choices.get(name, FamilyChoice.ADMIT),
        model_id=answers.models.get(name, ""),
        problem=answers.problems.get(family_field(MODEL, name)),
    )


def _listed(devices: Devices, answers: SetupAnswers) -> tuple[SetupFamilyDevice, ...]:
    return tuple(
        SetupFamilyDevice(
            id=device_field(one), device=shown_device(one), bus=bus.bus, is_left_out=one.identity.key in answers.left_out
        )
        for bus, one in islice(devices, SHOWN_DEVICES)
    )
