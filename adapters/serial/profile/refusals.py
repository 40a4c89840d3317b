"""Recognize the answers with which devices refuse a request, whatever their profile says about them. Pure."""

from __future__ import annotations

import re

_WORDS = re.compile(
    r"""
      (?:%\w+=)?ERR(?:OR)?(?:[ :_-]*-?\d{1,4}|A)?  # ERR, ERR3, ERRA, ERROR 12: PJLink, ESC/VP21 and many others
    | N(?:AK|ACK|G)\w{0,2}                # NAK, NACK, NG, NG00
    | \?+                                 # a command that is not known
    | -\d{3},.*                           # -113,"Undefined header": SCPI-1999, 21.8
    | (?:(?:unknown|undefined|invalid|illegal|bad|unrecogni[sz]ed|wrong|unsupported)\s+
         (?:command|header|request|query|parameter|function|input)s?
       | (?:syntax|command|parameter|execution|query|device)\s+error
       | (?:not|command\s+not)\s+(?:supported|found|recogni[sz]ed|available|allowed)
       )\b.{0,60}
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def is_refusal(text: str) -> bool:
    """Return whether a text is no value but a refusal, as devices of many makers word it: `ERR3`, `NAK`, `?`, `-113,"..."`."""
    return _WORDS.fullmatch(text.strip(" \t\r\n\0\"'.!:")) is not None
