"""`[notify]`: what is wrong with it is told at its line; the cloud cannot set it, and nothing shows its secrets."""

import pytest

from gateway.cli.common import installed, usable
from gateway.config.loading import load
from gateway.errors import SettingsError

MAIL = 'email_to = ["a@example.com"]\nsmtp_host = "mail.example.com"\n'
SIGNED_IN = MAIL + 'smtp_user = "gateway"\nsmtp_password = "a-password"\n'


def written(tmp_path, notify):
    file = tmp_path / "gateway.toml"
    cloud = '[cloud]\nhardware_key = "0f0e0d0c-1111-4222-8333-444455556666"'
    file.write_text(f'{cloud}\n[store]\npath = "{tmp_path}/s"\n[notify]\n{notify}')
    return file


def loaded(tmp_path, notify):
    return load(written(tmp_path, notify), usable(installed())).settings


@pytest.mark.parametrize(
    ("notify", "line", "says"),
    [
        ('webhook = "example.com/hook"', 6, "write it as https://example.com/hook"),
        ('webhook = "ftp://example.com"', 6, "write it as https://example.com/hook"),
        ('webhook_token = "x"', 6, "a token without a webhook"),
        ('webhook = "https://a.example"\nwebhook_token_file = "/nope"', 7, "/nope cannot be read"),
        ('webhook = "https://a.example"\nwebhook_token_file = "/dev/null"', 7, "is empty"),
        (
            'webhook = "https://a.example"\nwebhook_token = "x"\nwebhook_token_file = "/nope"',
            8,
            "there is a webhook_token as well",
        ),
        ('email_to = ["a@example.com"]', 6, "there is no mail server"),
        ('smtp_host = "mail.example.com"', 6, "nobody gets the e-mails"),
        ('email_to = ["nobody"]\nsmtp_host = "mail.example.com"', 6, "not an e-mail address"),
        ('email_to = ["a@b\\nBcc: c@d"]\nsmtp_host = "mail.example.com"', 6, "not an e-mail address"),
        (MAIL + 'smtp_user = "gateway"', 8, "a name without a password"),
        (MAIL + 'smtp_password = "x"', 8, "a password without a name"),
        (SIGNED_IN + 'smtp_security = "none"', 10, "sends the password in clear text"),
        (MAIL + "smtp_port = 0", 8, "at least 1"),
        (MAIL + 'priority = "urgent"', 8, "'critical', 'high', 'moderate', 'low' or 'planning'"),
    ],
)
def test_each_mistake_is_told_at_its_line(tmp_path, notify, line, says):
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, notify)
    assert [(one.line, says in str(one)) for one in caught.value.problems] == [(line, True)], caught.value


def test_what_is_right_is_taken_and_nothing_shows_its_secrets(tmp_path):
    settings = loaded(tmp_path, SIGNED_IN + 'webhook = "http://192.168.1.9:8123/api/webhook/secret-path"\n')
    assert settings.notify.smtp_user == "gateway"
    for secret in ("a-password", "secret-path"):
        assert secret not in repr(settings)
        assert secret not in str(settings.model_dump())
