"""Follow the chain of models of a SunSpec device, and find it again where the device tells a wrong length. Pure.

Each model begins with its id and its length, which says where the next one begins (SunSpec Device Information Model Specification
V1.1, section on the Modbus map). Devices exist that tell a length with id and length counted, or with a padding register too many
or too few. What is read at the wrong place are measured values, which are no model. Where one single place nearby holds a model
with the length that its definition says, the chain goes on there; else it ends, and the result says where.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from adapters.modbus.client.pdu import ADDRESSES, ReadRequest, Request, Response, Table
from adapters.modbus.profile.sunspec_layout import PlacedModel, SunSpecLayout
from adapters.modbus.profile.sunspec_models import defined_length, length_fits

END_MODEL: Final = 0xFFFF

MODELS_BOUND: Final = 64
"""The longest chain that is followed: a longer one belongs to a device that answers nonsense."""

REACH: Final = 4
"""How far from the told place the next model is searched, in registers."""

FIRST_OWN_ID: Final = 63000
"""Ids from here on are those of makers, without a definition (SunSpec Information Model Reference, ranges of model ids)."""

LONGEST_PLAUSIBLE: Final = 4096
"""The longest model that is believed, in registers: the battery models with all of their modules have some hundreds."""


@dataclass(frozen=True, slots=True)
class ModelChain:
    """The models that were found, and what is wrong with their chain."""

    models: SunSpecLayout
    problem: str | None = None
    """`None` where the chain is as specified; else a clause for a person."""


class _Header(NamedTuple):
    id: int
    length: int

    @property
    def is_exact(self) -> bool:
        """Whether the model has a length that its definition allows."""
        return length_fits(self.id, self.length) is True and self.length <= LONGEST_PLAUSIBLE

    @property
    def is_possible(self) -> bool:
        """Whether a device may have such a model."""
        is_known = length_fits(self.id, self.length) is not None or FIRST_OWN_ID <= self.id < END_MODEL
        return is_known and 0 < self.length <= LONGEST_PLAUSIBLE


THE_END: Final = _Header(END_MODEL, 0)

_Headers: TypeAlias = Generator[Request, Response, "_Header | None"]


def follow_chain(address: int) -> Generator[Request, Response, ModelChain]:
    """Follow the chain that begins at this address to its end."""
    models: list[PlacedModel] = []
    problems: list[str] = []
    while len(models) < MODELS_BOUND and address <= ADDRESSES - 2:
        header = yield from _header(address)
        if header == THE_END and not (models and length_fits(models[-1].id, models[-1].length) is False):
            break
        if header is None or not (yield from _is_believed(header, address)):
            is_doubtful = bool(models) and defined_length(models[-1].id) != models[-1].length
            found = (yield from _model_near(models, address, is_readable=header is not None)) if is_doubtful else None
            if found is not None:
                problems.append(_wrong_length(models[-1], found))
                models[-1] = replace(models[-1], length=found - models[-1].address - 2)
                address = found
                continue
            if header is None or not header.is_possible:
                problems += _at_the_end(models, header, address, is_doubtful=is_doubtful)
                break
        models.append(PlacedModel(header.id, address, header.length))
        address += models[-1].words
    return ModelChain(SunSpecLayout(tuple(models)), "; ".join(problems) or None)


def _header(address: int) -> _Headers:
    answer = yield ReadRequest(Table.HOLDING, address, 2)
    return _Header(int.from_bytes(answer[:2]), int.from_bytes(answer[2:])) if isinstance(answer, bytes) else None


def _is_believed(header: _Header, address: int) -> Generator[Request, Response, bool]:
    """Return whether this is a model: it has its one length, or another one or the end follows where it says."""
    if header.is_exact and defined_length(header.id) is not None:
        return True
    follower_at = address + 2 + header.length
    if header.length == 0 or header.id in {0, END_MODEL} or follower_at > ADDRESSES - 2:
        return False
    follower = yield from _header(follower_at)
    return follower is not None and (follower == THE_END or follower.is_possible)


def _model_near(models: list[PlacedModel], address: int, *, is_readable: bool) -> Generator[Request, Response, int | None]:
    """Return the one address near this one, or where the model before ends by its definition, that holds a model or the end."""
    before = models[-1]
    first = max(address - REACH, before.address + 2)
    count = (address + REACH if is_readable else address - 2) + 2 - first
    headers: dict[int, _Header] = {}
    if count >= 2:
        answer = yield ReadRequest(Table.HOLDING, first, min(count, ADDRESSES - first))
        headers |= _headers(first, answer)
    length = defined_length(before.id)
    if length is not None and length != before.length and (defined := before.address + 2 + length) <= ADDRESSES - 2:
        header = yield from _header(defined)
        if header is not None:
            headers[defined] = header
    headers.pop(address, None)
    exact = []
    for at, header in headers.items():
        if header.is_exact and (yield from _is_believed(header, at)):
            exact.append(at)
    exact = exact or [at for at, header in headers.items() if header == THE_END]
    return exact[0] if len(exact) == 1 else None


def _headers(first: int, answer: Response) -> Mapping[int, _Header]:
    """Return what each pair of registers in this answer would be as the beginning of a model."""
    if not isinstance(answer, bytes):
        return {}
    words = [int.from_bytes(answer[at : at + 2]) for at in range(0, len(answer), 2)]
    return {first + at: _Header(*words[at : at + 2]) for at in range(len(words) - 1)}


def _wrong_length(model: PlacedModel, found: int) -> str:
    return (
        f"model {model.id} at {model.address} tells {model.length} registers, and the next model is at {found}, as after "
        f"{found - model.address - 2}"
    )


def _at_the_end(models: list[PlacedModel], header: _Header | None, address: int, *, is_doubtful: bool) -> list[str]:
    """Return what to say of a chain that ends here: nothing where there is a mark, or a zero or nothing behind several models."""
    after = f"after model {models[-1].id} at {models[-1].address}, which tells {models[-1].length} registers" if models else ""
    if header is None or header.id in {0, END_MODEL}:
        return (
            [] if header == THE_END or (len(models) > 1 and not is_doubtful) else [f"no model is at {address} {after}".rstrip()]
        )
    return [f"the chain of models breaks {after or 'at its beginning'}: at {address} is {header.id}, which is no model"]
