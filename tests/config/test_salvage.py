from pathlib import Path

import pytest

from gateway.config.salvage import StandInStatus, salvage


def test_what_a_page_needs_is_taken_key_by_key_from_a_file_that_is_wrong(config):
    text = '[store]\npath = "/there"\nmost_samples = 1\n[status]\nhost = "0.0.0.0"\nprot = 81\nport = "x"\nenabled = false\n'
    basics = salvage(config(text))
    assert (basics.status.host, basics.status.port, basics.status.enabled) == ("0.0.0.0", 8080, False)
    assert str(basics.store.path) == "/there"
    assert salvage(config('store = 3\nstatus = [1]\n[gateway]\nname = "Boiler room"\n')).status.host == "127.0.0.1"
    assert salvage(config('[status]\nport = 81\n[log]\nlevel = oops\n[store]\npath = "/there"\n')).status.port == 81


def test_a_variable_that_is_no_json_does_not_hide_the_others_from_the_page(config, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__LOG", "json")
    monkeypatch.setenv("XYTE_GATEWAY__LOG__LEVEL", "error")
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__HOST", "0.0.0.0")
    basics = salvage(config("[status]\nport = 81\n"))
    assert (basics.status.host, basics.status.port, basics.log.level) == ("0.0.0.0", 81, "error")


def test_a_file_that_is_missing_or_unreadable_gives_the_defaults(tmp_path):
    for file in (None, tmp_path / "none.toml", tmp_path):
        assert salvage(file).status.port == 8080


def test_a_key_that_the_library_would_take_for_an_option_of_its_own_does_no_harm(config):
    assert salvage(config("_cli_parse_args = true\n[status]\nport = 81\n")).status.port == 81


@pytest.mark.parametrize(
    "text",
    [
        '[status]\nhost = "0.0.0.0"\ncertificate = 3\nkey = "k.pem"\n',
        '[status]\nhost = "0.0.0.0"\ncertificate = ["a.pem"]\n',
        '[status]\nhost = "0.0.0.0"\ncertificat = "a.pem"\n',
        '[status]\nhost = "0.0.0.0"\ntls = true\n',
        '[status]\ncertificate = a.pem\n',
        '[ "status" ]\nport = 80O\n"certificate" = "a.pem"\n',
        '[status\ncertificate = "a.pem"\n',
        'status.certificate = a.pem\n',
        'status = { port = 81, certificate = "a.pem"\n',
        '[status]\ncertificate = a.pem\n[log]\nlevel = "info"\n[status]\nport = 81\n',
        '[status]\ncertificate = 3\n[status]\nport = 81\n[log]\nlevel = "info"\n',
    ],
)  # fmt: skip
def test_a_page_that_was_to_have_a_certificate_is_not_served_without_one(config, monkeypatch, text):
    monkeypatch.setenv("XYTE_GATEWAY__STATUS__HOST", "0.0.0.0")
    status = salvage(config(text)).status
    assert isinstance(status, StandInStatus)
    assert (status.host, status.certificate) == ("0.0.0.0", Path("self-signed"))


def test_a_page_that_was_to_have_no_certificate_gets_none(config):
    assert salvage(config("[status]\nprot = 81\n[other]\ncertificate = a.pem\n")).status.certificate is None
    assert salvage(config('[status]\nport = 8O\n# certificate = "a.pem"\n')).status.certificate is None


def test_a_certificate_that_can_be_read_is_kept_beside_what_cannot(config):
    assert salvage(config('[status]\nprot = 81\ncertificate = "a.pem"\n')).status.certificate == Path("a.pem")
    assert salvage(config('[status]\ncertificate = "a.pem"\n[log]\nlevel = oops\n')).status.certificate == Path("a.pem")


def test_bytes_that_are_no_text_do_not_hide_the_other_tables_from_the_page(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_bytes(b'[gateway]\nname = "\xff"\n[status]\nport = 81\ncertificate = "self-signed"\n')
    assert (salvage(file).status.port, salvage(file).status.certificate) == (81, Path("self-signed"))
