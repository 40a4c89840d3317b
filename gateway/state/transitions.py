"""Describe a state machine as a table of transitions, look up the next state, and render the table for the documentation. Pure.

A library for state machines would bring mutable models and callbacks. The records here are frozen: they need only a table of a
dozen rows and one look-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

StateT = TypeVar("StateT", bound=StrEnum)
EventT = TypeVar("EventT", bound=StrEnum)


class Transition(NamedTuple, Generic[StateT, EventT]):
    """One row: in this state, this event leads to the next state, for this reason."""

    state: StateT | None
    """`None` for the beginning."""
    event: EventT
    next_state: StateT
    reason: str


def next_state(transitions: Sequence[Transition[StateT, EventT]], state: StateT | None, event: EventT) -> StateT:
    """Return the state after an event.

    Raises:
        ValueError: the table has no such row.
    """
    for row in transitions:
        if (row.state, row.event) == (state, event):
            return row.next_state
    raise ValueError(f"no transition from {state} with {event}")


def as_markdown(transitions: Sequence[Transition[StateT, EventT]]) -> str:
    """Return the table as a Mermaid state diagram and a Markdown table with the reasons."""
    arrows = [f"    {row.state or '[*]'} --> {row.next_state}: {row.event}" for row in transitions]
    rows = [f"| {row.state or ''} | {row.event} | {row.next_state} | {row.reason} |" for row in transitions]
    diagram = ["```mermaid", "stateDiagram-v2", *arrows, "```"]
    return "\n".join([*diagram, "", "| State | Event | Next state | Reason |", "| --- | --- | --- | --- |", *rows, ""])
