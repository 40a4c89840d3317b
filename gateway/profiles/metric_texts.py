"""Define the keys of a point that say how a person reads its metric: title, decimals, place in lists. Pure."""

from __future__ import annotations

from typing import TypedDict

from pydantic import BaseModel, ConfigDict, Field

from gateway.models import MOST_DECIMALS, MOST_TITLE_CHARACTERS


class MetricTextFields(TypedDict):
    """The fields of a `Metric` that only people read, as keyword arguments."""

    title: str | None
    decimals: int | None
    headline: bool


class MetricTexts(BaseModel):
    """The keys that say how a person reads a metric, for the grammar of an adapter to inherit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_TITLE_CHARACTERS,
        description="what a person calls it; left out: made from the name of the metric",
    )
    decimals: int | None = Field(
        default=None, ge=0, le=MOST_DECIMALS, description="decimals that are shown; left out: chosen by unit and size"
    )
    headline: bool = Field(
        default=False, description="true: one of the two values that lists show; left out: chosen by the names of the metrics"
    )

    def text_fields(self, *, suffix: str = "") -> MetricTextFields:
        """Return these keys as fields of a `Metric`.

        Args:
            suffix: what distinguishes a metric from others of the same point, such as ` 2`; added to a title.
        """
        title = None if self.title is None else f"{self.title}{suffix}"[:MOST_TITLE_CHARACTERS]
        return {"title": title, "decimals": self.decimals, "headline": self.headline}
