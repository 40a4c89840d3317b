"""Judge what a device sent to a probe: which rule it matches, what it proves, and what it tells about the device. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from adapters.serial.framing.framer import framer_for
from adapters.serial.framing.notation import escaped_text
from adapters.serial.profile.grammar import FactSource, MatchRule, Query
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import (
    Address,
    DeviceMessage,
    DeviceProtocol,
    QueryAnswer,
    Request,
    plausible_serial_number,
    read_fact,
)
from gateway.adapter import Value

LATEST_BYTES = 8192
"""Number of the latest bytes that are searched for messages each time more bytes come: several of the longest messages."""

SHOWN_BYTES = 64
"""Number of received bytes that are shown as evidence."""

SHOWN_BINARY_BYTES = 32
"""The same for bytes that are shown in two ways, each byte in up to seven characters: evidence has at most 300."""


@dataclass(frozen=True, slots=True)
class ProbeRule:
    """One match rule of one profile."""

    match: MatchRule
    protocol: DeviceProtocol

    @property
    def profile(self) -> Profile:
        """The profile that has the rule."""
        return self.protocol.profile


def describe_bytes(received: bytes) -> str:
    """Return bytes in readable form: as text, with hexadecimal digits if there are unprintable characters."""
    is_text = r"\x" not in escaped_text(received[:SHOWN_BYTES])
    shown = received[: SHOWN_BYTES if is_text else SHOWN_BINARY_BYTES]
    more = f" and {len(received) - len(shown)} bytes more" if len(received) > len(shown) else ""
    text = escaped_text(shown)
    return f'"{text}"{more}' if is_text else f'{shown.hex(" ")} "{text}"{more}'


def match_rules(profile: Profile, configured: Profile | None) -> tuple[MatchRule, ...]:
    """Return the match rules of a profile; for a configured one without rules, accept any answer or message."""
    if configured is None or profile.match:
        return profile.match
    if profile.queries:
        return (MatchRule(ask=profile.queries[0].name),)
    return (MatchRule(hear=profile.messages[0].name, within=min(60.0, profile.may_be_quiet or 60.0)),)


def any_matches(rules: Sequence[ProbeRule]) -> Callable[[bytes], bool]:
    """Return a function that tells whether received bytes match one of these rules."""
    return lambda received: any(matching_messages(rule, received) for rule in rules)


def matching_messages(rule: ProbeRule, received: bytes) -> list[DeviceMessage]:
    """Return the messages that match a rule, if there are enough of them."""
    framer = framer_for(rule.profile.framing, starts_mid_frame=not rule.match.greets)
    messages = [rule.protocol.read_message(frame.payload) for frame in framer.feed(received[-LATEST_BYTES:])]
    matching = [
        one for one in messages if one is not None and one.name == rule.match.hear and _values_match(rule.match, one.values)
    ]
    return matching if len(matching) >= rule.match.times else []


def is_proof(match: MatchRule, answer: QueryAnswer) -> bool:
    """Return whether the answer proves the profile of this match rule."""
    return match.or_refused if answer.refusal is not None else _values_match(match, answer.values)


def own_address(profile: Profile, answer: QueryAnswer, asked: Address) -> Address:
    """Return the address of the device that answered: as its answer has it, else the one that was asked."""
    own = None if profile.addresses is None else answer.values.get(profile.addresses.field)
    return own if isinstance(own, int | str) else asked


def answer_in(request: Request, received: bytes, *, is_final: bool = False) -> QueryAnswer | None:
    """Return the answer in the received bytes; `is_final`: no more bytes follow, so a silence ends the last frame.

    What looks like an echo of the request is left out first, and read where nothing else answers: that to `I` may be `IN1804`.
    """
    for possible in dict.fromkeys((received.removeprefix(request.raw), received)):
        framer = framer_for(request.protocol.profile.framing)
        frames = framer.feed(possible)
        frames += framer.expire(inf) if is_final else []
        answers = (request.read(frame.payload) for frame in frames)
        if (answer := next((answer for answer in answers if answer is not None), None)) is not None:
            return answer
    return None


def needed_queries(query: Query | None, name: str) -> tuple[str, ...]:
    """Return the queries that decide whether this one is asked, and then this one."""
    return (*(place.partition(".")[0] for place in query.only_if), name) if query is not None else (name,)


def is_asked(query: Query, answers: Mapping[str, Mapping[str, Value]]) -> bool:
    """Return whether a device with these answers, by query, is asked this query, too."""
    for place, pattern in query.only_if.items():
        name, _, field_name = place.partition(".")
        value = answers.get(name, {}).get(field_name)
        if value is None or re.fullmatch(pattern, str(value)) is None:
            return False
    return True


def is_read_from(source: FactSource | None, name: str) -> bool:
    """Return whether a fact is read from the query or message of this name."""
    return source is not None and source.part_name == name


def facts_of(profile: Profile, answers: Mapping[str, Mapping[str, Value]]) -> dict[str, str]:
    """Return the known facts about the device: those of its answers, else those of its profile."""
    facts: dict[str, str | None] = {"manufacturer": profile.maker, "sub_model": profile.sub_model}
    for name, source in profile.identity.facts.items():
        told = (read_fact(one, answers.get(one.part_name, {})) for one in source.alternatives)
        text = next((one for one in told if one is not None), None)
        facts[name] = (plausible_serial_number(text) if name == "serial_number" else text) or facts.get(name)
    return {name: text for name, text in facts.items() if text is not None}


def _values_match(match: MatchRule, values: Mapping[str, Value]) -> bool:
    return all(
        re.fullmatch(pattern, str(values.get(name, "")).strip(), re.IGNORECASE) is not None
        for name, pattern in match.where.items()
    )
