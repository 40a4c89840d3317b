"""Send notifications as e-mails."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib

from gateway.config.settings import NotifySection
from gateway.plain_text import replace_unprintable
from gateway.runtime.notify.channel import NotSent, secret_of
from gateway.runtime.notify.messages import Message, as_text, subject
from gateway.settings_secrets import SecretTexts

SEND_SECONDS = 20.0


class Mail:
    """Implements `gateway.runtime.notify.channel.Channel`.

    Args:
        host: the name of the mail server.
        section: how it is spoken to, and who gets the e-mails.
    """

    def __init__(self, host: str, section: NotifySection) -> None:
        self._host = host
        self._section = section
        self.name = f"e-mail by {host}"

    async def send(self, message: Message) -> str:
        """Hand an e-mail to the mail server, for all recipients at once."""
        section = self._section
        password = await secret_of(section.smtp_password, section.smtp_password_file)
        secrets = SecretTexts([password] if password else [])
        try:
            refused, said = await aiosmtplib.send(
                self._email(message),
                hostname=self._host,
                port=section.smtp_port,
                username=section.smtp_user,
                password=password,
                use_tls=section.smtp_security == "tls",
                start_tls=section.smtp_security == "starttls",
                timeout=SEND_SECONDS,
            )
        except TimeoutError:
            raise NotSent(f"no answer within {SEND_SECONDS:.0f} s") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotSent(secrets.masked(str(replace_unprintable(str(error) or type(error).__name__)))) from None
        answer = str(replace_unprintable(secrets.masked(said)))
        if refused:
            answer += f"; it refused {', '.join(sorted(refused))}"
        return answer

    def _email(self, message: Message) -> EmailMessage:
        section = self._section
        email = EmailMessage()
        email["From"] = section.email_from or section.email_to[0]
        email["To"] = ", ".join(section.email_to)
        email["Subject"] = subject(message)
        email["Date"] = formatdate(localtime=False)
        email["Message-ID"] = make_msgid(domain="xyte-gateway.invalid")
        email["Auto-Submitted"] = "auto-generated"
        email.set_content(as_text(message))
        return email
