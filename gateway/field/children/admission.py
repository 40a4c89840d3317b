"""Decide whether a found device becomes a child, and under which Xyte model. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.settings import Policy
from gateway.models import ChildDevice, Found
from gateway.state.records import Decision

ANY_FAMILY = "*"
"""The `[models]` key for every family that has no key of its own."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The reason why a device does not become a child, and what would change that."""

    why: str


def ignored_reason(key: str) -> str:
    """Return why a device that an operator ignores is not a child."""
    return f"ignored by an operator; to admit it after all: xyte-gateway children admit {key}"


def admit(
    found: Found, *, adapter: str, bus: str, policy: Policy, models: Mapping[str, str], decision: Decision | None
) -> ChildDevice | Declined:
    """Return the child that this device becomes, or why it does not. An operator's decision overrides the policy."""
    key = found.identity.key
    if decision is Decision.IGNORE:
        return Declined(ignored_reason(key))
    if decision is None and policy is Policy.ASK:
        return Declined(f"waits for an operator: xyte-gateway children admit {key}")
    if decision is None and policy is Policy.MATCHED and found.profile is None:
        return Declined("no profile fits; write one, name one in the adapter's settings, or set [admission] policy to all")
    model_id = models.get(found.family or "") or models.get(ANY_FAMILY)
    if model_id is None:
        family = found.family or f'"{ANY_FAMILY}"'
        return Declined(f"no Xyte model for it; add to [models]: {family} = <model id from the Partner Portal>")
    return found.as_child(adapter=adapter, bus=bus, model_id=model_id)
