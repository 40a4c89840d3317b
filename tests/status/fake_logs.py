"""A log that is only shown."""

from datetime import UTC, datetime

from gateway.status.logs_view import LogLevel, LogLine


class FakeLogs:
    def __init__(self):
        self.lines = []
        self.level = LogLevel(level="info", normal="info")
        self.was_set = []

    def add(self, text, level="info", logger="gateway.cloud.session"):
        line = LogLine(seq=len(self.lines) + 1, at=datetime.now(UTC), level=level, logger=logger, text=text)
        self.lines.append(line)

    def log_lines(self):
        return self.lines

    def log_level(self):
        return self.level

    def set_log_level(self, level, minutes):
        self.was_set.append((level, minutes))


def fill_log(logs):
    """Some lines of each level, as a plant writes them."""
    for _ in range(4):
        logs.add("the hub answers again")
        logs.add("house 3: refuses the connection, 125 children", level="warning", logger="gateway.field.supervisor")
        logs.add("10.20.30.40:502 unit 3: 01 03 00 00 00 02 c4 0b", level="debug", logger="adapters.modbus.client.link")
        logs.add(
            "a row cannot be read\n    Traceback (most recent call last):\n    ValueError: 7",
            level="error",
            logger="gateway.state.store",
        )
