import pytest

from gateway.config.loading import load
from gateway.config.permissions import ceiling, needed_for
from gateway.errors import SettingsError
from gateway.models import ChildDevice, Permission
from gateway.testing.devices import SyntheticAdapter

ADAPTERS = {"synthetic": SyntheticAdapter}


def child(key="sn:synthetic/1", entry="plant"):
    return ChildDevice(
        key=key,
        adapter=entry,
        bus="bus",
        address="a1",
        profile=None,
        family=None,
        model_id="model",
        sub_model=None,
        firmware_version=None,
        name="Meter",
    )


@pytest.fixture
def configured(tmp_path):
    def read(*, cloud="", entry="", own=""):
        file = tmp_path / "gateway.toml"
        file.write_text(
            f'[cloud]\n{cloud}\n[store]\npath = "{tmp_path}/gateway.sqlite3"\n[child."sn:synthetic/1"]\n{own}\n'
            f'[[adapter]]\ntype = "synthetic"\nname = "plant"\n{entry}\n'
        )
        return load(file, ADAPTERS, for_cloud=False)

    return read


def may(permission):
    return f'may = "{permission}"'


@pytest.mark.parametrize(
    ("cloud", "entry", "own", "lowest", "table"),
    [
        ("observe", "firmware", "firmware", "observe", "[cloud]"),
        ("firmware", "configure", "command", "configure", "[[adapter]] plant"),
        ("firmware", "command", "observe", "observe", '[child."sn:synthetic/1"]'),
        ("firmware", "firmware", "firmware", "firmware", "[cloud]"),
    ],
)
def test_the_lowest_of_the_three_settings_wins_and_names_its_table(configured, cloud, entry, own, lowest, table):
    read = configured(cloud=may(cloud), entry=may(entry), own=may(own))
    assert ceiling(read, child()) == ceiling(read, child()).__class__(Permission(lowest), table)


def test_an_entry_and_a_child_do_not_limit_others(configured):
    read = configured(cloud=may("firmware"), entry=may("observe"), own=may("observe"))
    assert ceiling(read).may is Permission.FIRMWARE, "the gateway itself"
    assert ceiling(read, child("sn:other/2", "roof")).may is Permission.FIRMWARE


def test_what_was_written_before_means_what_it_meant(configured):
    for written, commands, firmware in (("", True, False), (may("command"), True, False), (may("observe"), False, False)):
        allowed = ceiling(configured(cloud=written), child())
        assert (allowed.refusal(Permission.COMMAND) is None, allowed.refusal(Permission.FIRMWARE) is None) == (commands, firmware)


def test_each_permission_includes_the_former_ones(configured):
    for permission in Permission:
        allowed = ceiling(configured(cloud=may(permission)))
        assert [allowed.refusal(needed) is None for needed in Permission] == [
            needed.level <= permission.level for needed in Permission
        ]


def test_a_refusal_names_what_is_refused_and_the_key_that_forbids_it(configured):
    refusal = ceiling(configured(own=may("configure")), child()).refusal(needed_for("set"))
    assert refusal == (
        'it takes no commands from the cloud: `may = "configure"` in [child."sn:synthetic/1"] of the gateway\'s configuration'
    )
    refusal = ceiling(configured()).refusal(needed_for("update_firmware"))
    assert refusal == 'it takes no firmware from the cloud: `may = "command"` in [cloud] of the gateway\'s configuration'


@pytest.mark.parametrize("where", ["cloud", "entry", "own"])
def test_a_wrong_word_is_a_mistake_with_its_place(configured, where):
    with pytest.raises(SettingsError) as caught:
        configured(**{where: may("everything")})
    (problem,) = caught.value.problems
    assert problem.line is not None
    assert problem.where.endswith("may")
    assert "'observe', 'configure', 'command' or 'firmware'" in problem.wrong


def test_a_key_that_a_child_does_not_have_is_a_mistake(configured):
    with pytest.raises(SettingsError, match="no such key"):
        configured(own="mya = 1")
