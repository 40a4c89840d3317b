"""Who speaks unprompted, how often, and who has been quiet for too long. Nothing here waits.

A device that is never asked tells that it is there by speaking. How long its silence is normal is learned from its own intervals:
a door contact that beats once an hour is not offline after a minute, and a thermometer that speaks every second is after half of
one. Until enough was heard, its adapter's word counts. Times are seconds of one clock, passed in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

UTTERANCE_SECONDS = 1.0
"""What comes within so long is one utterance: many devices say each thing several times in a row."""

INTERVALS_LEARNED_FROM = 16

PATIENCE_FACTOR = 3.0
"""A device is quiet for too long after so many times its longest interval: radio loses much."""

SHORTEST_PATIENCE_SECONDS = 30.0

NEVER = float("inf")


@dataclass(slots=True)
class _Speaker:
    fall_back_seconds: float
    heard_at: float
    """When it was last heard; when listening began, for one that was not heard yet."""
    uttered_at: float | None = None
    """When its last utterance began; `None` before the first, and after the bus was deaf for a while."""
    intervals: deque[float] = field(default_factory=lambda: deque(maxlen=INTERVALS_LEARNED_FROM))
    patience_seconds: float = 0.0
    is_quiet: bool = False


class SilenceDetector:
    """The speakers of one bus."""

    def __init__(self) -> None:
        self._speakers: dict[str, _Speaker] = {}

    def __contains__(self, child: object) -> bool:
        return child in self._speakers

    def expect(self, child: str, fall_back_seconds: float, now: float) -> None:
        """Listen for a child; until its interval is learned, it may be quiet for so long."""
        known = self._speakers.get(child)
        if known is None:
            self._speakers[child] = _Speaker(fall_back_seconds, now, patience_seconds=fall_back_seconds)
        elif known.fall_back_seconds != fall_back_seconds:
            known.fall_back_seconds = fall_back_seconds
            known.patience_seconds = _patience(known)

    def forget(self, child: str) -> None:
        """Listen for a child no more."""
        self._speakers.pop(child, None)

    def listen_anew(self, deaf_seconds: float, now: float) -> None:
        """The bus was deaf for so long: what was not heard meanwhile is nobody's silence.

        What was not heard before counts on, or nobody would ever be told quiet on a bus that is opened anew since all are. Each
        is given a moment to speak.
        """
        for speaker in self._speakers.values():
            moment = min(speaker.patience_seconds, SHORTEST_PATIENCE_SECONDS)
            heard_at = max(speaker.heard_at + deaf_seconds, now + moment - speaker.patience_seconds)
            speaker.heard_at, speaker.uttered_at, speaker.is_quiet = min(heard_at, now), None, False

    def heard(self, child: str, now: float) -> None:
        """The child spoke."""
        speaker = self._speakers.get(child)
        if speaker is None:
            return
        speaker.heard_at, speaker.is_quiet = now, False
        if speaker.uttered_at is None:
            speaker.uttered_at = now
        elif (interval := now - speaker.uttered_at) >= UTTERANCE_SECONDS:
            speaker.uttered_at = now
            speaker.intervals.append(interval)
            speaker.patience_seconds = _patience(speaker)

    def fallen_quiet(self, now: float) -> list[tuple[str, str]]:
        """Return each child that has just been quiet for too long, and why that is too long; each silence is told once."""
        quiet = []
        for child, speaker in self._speakers.items():
            if not speaker.is_quiet and now >= speaker.heard_at + speaker.patience_seconds:
                speaker.is_quiet = True
                quiet.append((child, _why(speaker, now)))
        return quiet

    def next_at(self) -> float:
        """Return when somebody may have been quiet for too long; infinity when nobody can."""
        speaking = (speaker for speaker in self._speakers.values() if not speaker.is_quiet)
        return min((speaker.heard_at + speaker.patience_seconds for speaker in speaking), default=NEVER)

    def patience_seconds(self, child: str) -> float | None:
        """Return how long the child may be quiet; `None` for one that is not listened for."""
        speaker = self._speakers.get(child)
        return None if speaker is None else speaker.patience_seconds

    def heard_at(self, child: str) -> float | None:
        """Return when the child was last heard; `None` for one that never was, or is not listened for."""
        speaker = self._speakers.get(child)
        return None if speaker is None or speaker.uttered_at is None else speaker.heard_at


def _patience(speaker: _Speaker) -> float:
    if not speaker.intervals:
        return speaker.fall_back_seconds
    learned = max(PATIENCE_FACTOR * max(speaker.intervals), SHORTEST_PATIENCE_SECONDS)
    is_learned = len(speaker.intervals) == INTERVALS_LEARNED_FROM
    return learned if is_learned else max(learned, speaker.fall_back_seconds)


def _why(speaker: _Speaker, now: float) -> str:
    quiet = f"not heard for {_for_a_person(now - speaker.heard_at)}"
    if not speaker.intervals:
        return quiet
    return f"{quiet}; it used to speak at least every {_for_a_person(max(speaker.intervals))}"


def _for_a_person(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
