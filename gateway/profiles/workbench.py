"""Offer the profile tools of the workbench for every adapter whose device models are profiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from gateway.metrics.vocabulary import metric_mistake
from gateway.models import Metric
from gateway.profiles.files import ProfileError, ProfileFiles
from gateway.profiles.model import DeviceProfile
from gateway.toml_lines import line_of
from gateway.workbench import KnownProfile, ProfileProblems, Workbench

ProfileT = TypeVar("ProfileT", bound=DeviceProfile)


class ProfileWorkbench(Workbench, Generic[ProfileT]):
    """The profile tools of one adapter.

    Args:
        files: the adapter's profile files.
        library: the profiles of its entry of the configuration; the built-in ones, when left out.
    """

    def __init__(self, files: ProfileFiles[ProfileT], library: Mapping[str, ProfileT] | None = None) -> None:
        self._files = files
        self._library = files.load() if library is None else library

    def profiles(self) -> Sequence[KnownProfile]:
        """Return all profiles, sorted by name."""
        return [
            KnownProfile(
                name=profile.name,
                maker=profile.maker,
                title=profile.title,
                family=profile.family,
                points=profile.point_count,
                commands=sum(1 for _ in profile.all_commands),
                is_found=profile.is_found_by_scan,
                source=profile.source.edition_of_document,
            )
            for _, profile in sorted(self._library.items())
        ]

    def remarks_of(self, file: Path) -> Sequence[str]:
        """Return the names and units outside of the vocabulary of metrics, and a second source that is missing."""
        profile = self.read_profile(file)
        text = file.read_text(encoding="utf-8")
        lines = text.splitlines()
        remarks = [(_line_with(metric.name, lines), told) for metric in _metrics(profile) if (told := _unusual(metric))]
        if not profile.source.checked_against:
            remarks.append((line_of(text, ("source",)) or 1, "`[source]` names no second source: `checked_against`"))
        return [f"{file}:{line}: {told}" for line, told in sorted(dict.fromkeys(remarks))]

    def read_profile(self, file: Path) -> ProfileT:
        """Return the profile in a file that a person names.

        Raises:
            ProfileProblems: the file cannot be read or has mistakes; the text lists them.
        """
        try:
            return self._files.read(file)
        except ProfileError as error:
            raise ProfileProblems(str(error), error.problems, strangeness=error.strangeness) from error


def _metrics(profile: DeviceProfile) -> Iterable[Metric]:
    return (metric for metrics in profile.metrics_by_group.values() for metric in metrics)


def _unusual(metric: Metric) -> str | None:
    return metric_mistake(metric.name, metric.unit, is_number=metric.decimals is not None)


def _line_with(name: str, lines: Sequence[str]) -> int:
    """Return the 1-based line that names a metric; 1 where it is made by a rule."""
    return next((number for number, line in enumerate(lines, 1) if f'"{name}"' in line), 1)
