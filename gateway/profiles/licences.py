"""Declare how a device gets a licence, and turn a licence change into the command that makes it. Pure."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from gateway.errors import CommandRejected
from gateway.models import ChildDevice, Command, Licence, LicenceChange


class LicenceRule(BaseModel):
    """The commands of a profile that install and remove a licence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    install: str = Field(description="the command that installs or renews a licence")
    parameter: str = Field(description="its parameter that gets the content of the licence")
    remove: str | None = Field(
        default=None, description="the command that removes the licence; left out: the device cannot be made to stop using it"
    )
    remove_parameter: str | None = Field(
        default=None, description="its parameter that gets the content of the licence, if it needs it"
    )


def licence_command(rule: LicenceRule | None, child: ChildDevice, licence: Licence) -> Command:
    """Return the command that makes this change on the child.

    Raises:
        CommandRejected: the profile has no rule for it, or the licence has no content.
    """
    if rule is None:
        raise CommandRejected(f"{child.name} takes no licences: its profile has none")
    is_for_use = licence.change in (LicenceChange.INSTALL, LicenceChange.RENEW)
    name, parameter = (rule.install, rule.parameter) if is_for_use else (rule.remove, rule.remove_parameter)
    if name is None:
        raise CommandRejected(f"{child.name} cannot be made to stop using a licence: its profile has no command for that")
    if parameter is None:
        return Command(licence.id, child.key, name, {})
    if licence.payload is None:
        raise CommandRejected("the licence has no content")
    return Command(licence.id, child.key, name, {parameter: licence.payload.get_secret_value()})
