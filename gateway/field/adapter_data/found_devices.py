"""Check found devices and the progress of a search: every text printable and short, so that it can be shown and stored. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import fields
from typing import Any, Final

from gateway.field.adapter_data.values import Unusable
from gateway.models import Confidence, Found, Identity, IdentityKind, Progress
from gateway.plain_text import plain_text, type_name

MOST_KEY_CHARACTERS: Final = 200
"""The most characters of an address and of an identity; longer ones are refused, since a part may be that of two devices."""

MOST_CHARACTERS: Final = 200
"""The most characters of any other text; a longer one is cut."""

MOST_ANSWER_CHARACTERS: Final = 300
"""The most characters of an answer in the evidence, and of what a device needs."""

MOST_ANSWERS: Final = 50
"""The most questions in the evidence, and the most values that a device says."""

_OPTIONAL: Final = ("family", "sub_model", "manufacturer", "model", "serial_number", "mac", "firmware_version")


def checked_found(found: Any, known: Container[str]) -> Found:  # noqa: ANN401 - whatever an adapter returns
    """Return a found device with texts that are printable and short; the same object where nothing was to be changed.

    Args:
        found: what the adapter returned.
        known: the keys of the children on the bus; a child that has an unprintable key keeps it.

    Raises:
        Unusable: it is none, or has no usable address, identity or name; the text says what it is.
    """
    if not issubclass(type(found), Found):
        raise Unusable(f"something of the type {type_name(type(found))} as a found device")
    try:
        address = _checked_key(found.address, "address")
        changed: dict[str, Any] = {
            "address": address,
            "identity": _checked_identity(found.identity, known),
            "name": _text(found.name, "name") or address,
            "profile": None if found.profile is None else _checked_key(found.profile, "profile"),
            **{name: _optional_text(getattr(found, name), name) for name in _OPTIONAL},
            "evidence": checked_answers(found.evidence, "evidence"),
            "says": checked_answers(found.says, "says"),
            "confidence": _checked_confidence(found.confidence),
            "is_generic": _checked_flag(found.is_generic),
            "needs": _optional_text(found.needs, "needs", MOST_ANSWER_CHARACTERS),
        }
    except Unusable:
        raise
    except BaseException as error:  # noqa: BLE001 - objects of a third-party adapter, which may raise anything, even `SystemExit`
        raise Unusable(f"a device with something that raises {type_name(type(error))} when it is used") from None
    is_same = type(found) is Found and all(changed[field.name] is getattr(found, field.name) for field in fields(Found))
    return found if is_same else Found(**changed)


def checked_progress(progress: Any) -> Progress:  # noqa: ANN401 - whatever an adapter returns
    """Return the progress of a search with a printable note.

    Raises:
        Unusable: it is none.
    """
    done, total, note = progress.done, progress.total, progress.note
    if not _is_count(done) or not (total is None or _is_count(total)) or not issubclass(type(note), str):
        raise Unusable("a Progress whose fields have wrong types")
    plain = plain_text(str.__str__(note), MOST_CHARACTERS)
    return progress if plain is note and type(progress) is Progress else Progress(done, total, plain)


def _is_count(number: object) -> bool:
    return type(number) is int and 0 <= number < 2**63


def _checked_identity(identity: Any, known: Container[str]) -> Identity:  # noqa: ANN401 - as above
    if type(identity) is not Identity or type(identity.kind) is not IdentityKind or not issubclass(type(identity.value), str):
        raise Unusable("a device without an Identity of a known kind")
    value = str.__str__(identity.value)
    if not value.strip():
        raise Unusable("a device whose identity has no value")
    if len(value) > MOST_KEY_CHARACTERS:
        raise Unusable(f"a device whose identity has {len(value)} characters")
    if value is identity.value and (value.isprintable() or identity.key in known):
        return identity
    return Identity(identity.kind, "".join(letter if letter.isprintable() else f"%{ord(letter):02X}" for letter in value))


def _checked_key(text: Any, name: str) -> str:  # noqa: ANN401 - as above
    """Return a text that an adapter gets back, so it can only be taken as it is."""
    if not issubclass(type(text), str):
        raise Unusable(f"a device whose {name} is of the type {type_name(type(text))}")
    plain = str.__str__(text)
    if not plain.strip() or not plain.isprintable() or len(plain) > MOST_KEY_CHARACTERS:
        raise Unusable(f'a device with the {name} "{plain_text(plain, 60)}", which is not printable, empty or too long')
    return text if type(text) is str else plain


def _text(text: Any, name: str, most: int = MOST_CHARACTERS) -> str:  # noqa: ANN401 - as above
    if not issubclass(type(text), str):
        raise Unusable(f"a device whose {name} is of the type {type_name(type(text))}")
    return plain_text(str.__str__(text), most)


def _optional_text(text: Any, name: str, most: int = MOST_CHARACTERS) -> str | None:  # noqa: ANN401 - as above
    return None if text is None else _text(text, name, most)


def _checked_confidence(confidence: Any) -> Confidence:  # noqa: ANN401 - as above
    if type(confidence) is not Confidence:
        raise Unusable(f"a device whose confidence is of the type {type_name(type(confidence))}")
    return confidence


def _checked_flag(flag: Any) -> bool:  # noqa: ANN401 - as above
    if type(flag) is not bool:
        raise Unusable(f"a device whose is_generic is of the type {type_name(type(flag))}")
    return flag


def checked_answers(answers: Any, name: str) -> Mapping[str, str]:  # noqa: ANN401 - as above
    """Return questions and answers as texts; the same mapping where all of it is printable and short."""
    if not issubclass(type(answers), Mapping):
        raise Unusable(f"a device whose {name} is of the type {type_name(type(answers))}")
    checked = {_answer(asked, MOST_CHARACTERS): _answer(told, MOST_ANSWER_CHARACTERS) for asked, told in _first(answers)}
    is_same = type(answers) is dict and len(answers) == len(checked) and all(checked.get(key) is answers[key] for key in answers)
    return answers if is_same else checked


def _first(answers: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return [pair for pair, _ in zip(answers.items(), range(MOST_ANSWERS), strict=False)]


def _answer(text: Any, most: int) -> str:  # noqa: ANN401 - as above
    if issubclass(type(text), str):
        return plain_text(str.__str__(text), most)
    if type(text) in (bool, int, float):
        return plain_text(str(text) if abs(text) < 1e300 else "a number that is too large", most)
    return f"something of the type {type_name(type(text))}"
