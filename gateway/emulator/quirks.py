"""Define a switch for each point of Xyte's behaviour that the reference leaves open (section 17). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Created: TypeAlias = Literal[200, 201]


class BadQuirk(ValueError):
    """The quirk does not exist or cannot have that value; the text names the quirk and the valid values."""


class Quirks(BaseModel):
    """The behaviour of this Xyte where the reference is silent or its sources disagree. The defaults are the reference's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model_api_version: Literal["1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.0.5", "1.0.6", "1.0.7"] = "1.0.7"
    """0.2: the Model API version of every device model."""

    registration_status: Created = 201
    """17.1: the status of a successful registration: device, child, bulk."""
    telemetry_status: Created = 201
    """17.1: the status of accepted telemetry: single, children, mass."""
    dump_status: Created = 201
    """17.1: the status of a stored dump."""
    space_status: Created = 200
    """17.1: the status of Get Space Info."""
    strict_child_fields: bool = False
    """17.2: Register Child Device answers 400 to any field outside the prose table, `sub_model` among them."""
    child_hub_url: bool = False
    """17.3: Register Child Device also returns the `hub_url`."""
    parent_key_opens_children: bool = False
    """17.4: a parent's key is accepted on its children's own paths."""
    child_registration_needs_key: bool = True
    """17.5: Register Child Device needs the parent's key."""
    deleted_answer: Literal["unauthorised", "not-found", "error-in-2xx"] = "unauthorised"
    """17.6: the answer to a deleted device: 401, 404 `Not found`, or 200 with `{"error": "Not found"}`."""
    foreign_child: Literal["not-found", "not-authorized", "omitted"] = "not-found"
    """17.7: the entry of a deleted or foreign child in the answer to Send Child Telemetries."""
    set_config_body: Literal["either", "bare", "wrapped"] = "either"
    """17.8: whether Set Config takes the bare configuration, one wrapped in `config`, or both."""
    set_config_bumps: Literal["always", "on-change"] = "on-change"
    """17.9: when Set Config raises the version; an unchanged echo confirms it."""
    config_version_type: Literal["either", "string", "number"] = "either"
    """17.10: what Update Device takes as `config_version` and `space_version`."""
    command_flag: Literal["until-terminal", "while-pending"] = "until-terminal"
    """17.11: how long telemetry answers `command: true`."""
    commands_need_claim: bool = False
    """18: a command for an unclaimed device is refused, since only customers send commands."""
    command_id: Literal["uuid", "integer"] = "uuid"
    """17.12: the form of the ids of commands queued from now on."""
    bulk_register: Literal["array", "missing"] = "array"
    """17.13: Bulk Register answers an array in request order, or is not there at all (404)."""
    events_on_entry: bool = False
    """17.14: Add Event is also served by the entry server."""
    parent_deletion: Literal["deletes-children", "orphans-children"] = "deletes-children"
    """17.15: what happens to the children of a deleted device."""
    repeated_child: Literal["another", "same"] = "another"
    """17.16: Register Child Device with a known `sn`: another device, or the same one with the same key."""
    parent_unclaiming: Literal["keeps-children", "deletes-children"] = "keeps-children"
    """17.17: what happens to the children of an unclaimed device."""
    child_before_claim: Literal["allowed", "refused"] = "allowed"
    """17.18: whether an unclaimed parent may register children (422 when refused)."""
    children_per_parent: int = Field(default=0, ge=0)
    """17.19: how many children one parent may have; 0 is no limit. 422 beyond it."""
    spurious_401: int = Field(default=0, ge=0)
    """17.20: the first N authorised calls of each device are answered 401 all the same."""
    rate_limit: int = Field(default=0, ge=0)
    """17.21: requests within 30 s, bulk or not; 0 is no limit. 429 beyond it."""
    rate_limit_counts: Literal["device", "customer"] = "device"
    """17.21: whether each device has that limit, or all devices of one customer together."""
    retry_after: bool = False
    """17.21: a 429 has a `Retry-After` with the seconds to wait."""
    info_version: Literal["constant", "counts"] = "constant"
    """17.22: whether `info_version` stays 0 or counts the changes of the device's info."""
    dump_body: Literal["either", "raw", "multipart"] = "either"
    """17.23: whether a multipart dump is parsed, and whether a raw one is accepted."""
    delete_status: Literal[200, 204] = 200
    """17.24: the status of Delete Device; 204 has no body."""
    pending_commands_device_id: bool = True
    """17.26: Get Commands with Children names the device of each command."""
    bulk_refreshes_parent: bool = True
    """17.27: Send Child Telemetries refreshes the parent's `last_seen`."""
    details_update: Literal["replace", "merge"] = "replace"
    """17.28: what Update Device does with `details`."""
    telemetry_message: Literal["ignored", "refused"] = "ignored"
    """17.29: how a telemetry's `message` is treated (422 when refused)."""

    no_license: Literal["object", "array"] = "object"
    """18: Get License with nothing pending answers `{}` or `[]`."""
    device_info_refusal: Literal["deleted-401", "always-401", "always-400"] = "deleted-401"
    """18: Get Device Info answers 401 to a deleted device and 400 to a wrong key (8.1), or one of them to both."""
    offline_minutes: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """18: a device of any model that is unheard for longer is offline, and an incident opens; 0 is never."""
    offline_check_seconds: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """18: how often the server looks for devices that are offline."""
    events_over_limit: Literal["refused", "dropped"] = "refused"
    """11.5: more than 100 events a day are a 429, or answered as successful and dropped."""

    strict_values: bool = False
    """5.1: telemetry numbers beyond 32 bits and strings beyond 1000 bytes are a 422."""
    hub_url_form: Literal["url", "bare", "slash"] = "url"
    """1: `hub_url` as a URL, as a bare host name without a scheme, or with a slash at its end."""
    license_form: Literal["object", "array", "booleans", "all"] = "object"
    """9.1: Get License answers an object, an array of one, an object with `add`/`remove`/`update` and `expired_at`, or all in an
    array with the one of those three that is true, as in [S]."""

    def since(self, version: str) -> bool:
        """Return whether the models have at least this Model API version (section 0.2)."""
        return self.model_api_version >= version

    def changed(self, changes: Mapping[str, object]) -> Quirks:
        """Return these quirks with some of them changed.

        Raises:
            BadQuirk: a name or a value is not one of the above.
        """
        try:
            return Quirks.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise BadQuirk("; ".join(_sentence(problem["loc"], problem["msg"]) for problem in error.errors())) from error

    @classmethod
    def parse(cls, words: Iterable[str]) -> Quirks:
        """Return the defaults, changed by each `NAME=VALUE` word.

        Raises:
            BadQuirk: a word has no `=`, or its name or value is not one of the above.
        """
        changes: dict[str, object] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise BadQuirk(f"{word}: write NAME=VALUE")
            changes[name.strip()] = _plain(value.strip())
        return cls().changed(changes)

    def describe(self) -> list[dict[str, object]]:
        """Return name, value, default and description of every quirk."""
        return [
            {"name": name, "value": getattr(self, name), "default": field.default, "about": field.description}
            for name, field in type(self).model_fields.items()
        ]


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = ".".join(map(str, location))
    if name not in Quirks.model_fields:
        return f"{name}: unknown quirk; the quirks are {', '.join(Quirks.model_fields)}"
    return f"{name}: {message}"


def _plain(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value
