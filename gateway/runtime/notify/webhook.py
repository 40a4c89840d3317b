"""Post notifications as JSON to a webhook."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from gateway import strict_json
from gateway.config.settings import NotifySection
from gateway.plain_text import replace_unprintable
from gateway.runtime.notify.channel import NotSent, secret_of
from gateway.runtime.notify.messages import Message, as_json
from gateway.settings_secrets import SecretTexts

SEND_SECONDS = 20.0
SHOWN_BYTES = 200


class Webhook:
    """Implements `gateway.runtime.notify.channel.Channel`."""

    def __init__(self, url: SecretStr, section: NotifySection) -> None:
        self._url = url
        self._section = section
        self.name = f"webhook to {urlsplit(url.get_secret_value()).hostname}"

    async def send(self, message: Message) -> str:
        """Post a message. A redirect is refused: it could lead anywhere, with the token."""
        url = self._url.get_secret_value()
        token = await secret_of(self._section.webhook_token, self._section.webhook_token_file)
        secrets = SecretTexts(one for one in (url, token) if one)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        body = strict_json.dumps(as_json(message))
        timeout = aiohttp.ClientTimeout(total=SEND_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=body.encode(), headers=headers, allow_redirects=False) as response,
            ):
                said = (await response.content.read(SHOWN_BYTES)).decode("utf-8", "replace")
                answer = f"{response.status} {response.reason or ''} {replace_unprintable(said)}".strip()
                if not 200 <= response.status < 300:
                    raise NotSent(secrets.masked(f"it answered {answer}"))
                return secrets.masked(answer)
        except TimeoutError:
            raise NotSent(f"no answer within {SEND_SECONDS:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotSent(secrets.masked(str(error) or type(error).__name__)) from None
