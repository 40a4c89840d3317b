"""Define the tables of a profile for what is exchanged in frames beside requests: a log-in, and replies to the device. Pure."""

from __future__ import annotations

from pydantic import Field

from adapters.serial.framing.notation import ProfileTable, TextBytes


class FrameLoginRule(ProfileTable):
    """A log-in by a frame of the protocol: it is sent before the first request of a connection, and the device answers it."""

    send: TextBytes = Field(
        min_length=1,
        description=r"payload of the log-in; `{user}` and `{password}` are replaced by those of the config: "
        r"`\x02{user}|{password}`",
    )
    accepted: str = Field(min_length=1, description="template of the answer when the device accepts it")
    refused: str = Field(min_length=1, description="template of the answer when the device rejects it")
    then: str | None = Field(
        default=None, description="template of a message that the device sends behind it, before it takes requests"
    )
    lost: str | None = Field(default=None, description="template of a refusal that says that the device wants the log-in again")


class ReplyRule(ProfileTable):
    """A message of the device that wants a reply, such as the question whether somebody is still there."""

    hear: str = Field(min_length=1, description="template of the message")
    send: TextBytes = Field(min_length=1, description=r"payload of the reply: `\x00\x01\x10`")
