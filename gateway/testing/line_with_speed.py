"""Simulate a line whose devices answer at one speed alone, for tests that change the speed from the cloud."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import Field

from gateway.adapter import DeviceUnreachable, Found, Progress
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, SyntheticSettings

RIGHT_SPEED = 9600


class LineSettings(SyntheticSettings):
    """A `[[adapter]]` entry of a line with a speed."""

    speed: int = Field(default=RIGHT_SPEED, ge=1, description="speed of the line, in bits per second")
    gain: int = Field(default=1, ge=0, description="a value that the devices report as `gain`")
    offset: int = Field(default=0, description="a value that the devices report as `offset`")


class LineAdapter(SyntheticAdapter):
    """The devices of a `SyntheticBus`, as long as the speed is right."""

    settings_model = LineSettings
    settings: LineSettings

    @staticmethod
    def on(*buses: SyntheticBus) -> type[SyntheticAdapter]:
        """Return an adapter class for these buses."""
        return type("BoundLineAdapter", (LineAdapter,), {"all_buses": buses})

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Yield the device at every address that answers at this speed."""
        async for step in super().discover():
            if isinstance(step, Progress) or self.settings.speed == RIGHT_SPEED:
                yield step

    def _answering(self, address: str) -> SyntheticDevice:
        if self.settings.speed != RIGHT_SPEED:
            raise DeviceUnreachable(f"no answer at {self.settings.speed} bits per second")
        device = super()._answering(address)
        device.values |= {"gain": self.settings.gain, "offset": self.settings.offset}
        return device
