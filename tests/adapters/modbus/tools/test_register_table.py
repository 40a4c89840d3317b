"""Tables of registers as makers print them and people paste them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.modbus.client.pdu import Table
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.tools.new_profile import new_profile
from adapters.modbus.tools.register_table import needs_notation, read_table
from gateway.adapter import ProfileFacts, WrongTable


def one(text: str, **how):
    table = read_table(text, **how)
    assert table.refused == []
    (row,) = table.rows
    return row


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_are_separated_as_in_any_spreadsheet(separator):
    row = one("Address;Name;Data type;Unit;Factor\n0x10;Voltage L1;U16;Volts;0.1\n".replace(";", separator))
    assert (row.address, row.metric, row.type, row.unit, row.scale) == (16, "voltage_l1", "uint16", "V", 0.1)


@pytest.mark.parametrize(
    ("written", "kind", "orders"),
    [
        ("U16", "uint16", (False, False)),
        ("UINT16", "uint16", (False, False)),
        ("int 32", "int32", (False, False)),
        ("S32", "int32", (False, False)),
        ("Float", "float32", (False, False)),
        ("float32-ABCD", "float32", (False, False)),
        ("FLOAT32-CDAB", "float32", (True, False)),
        ("INT32 (CDAB)", "int32", (True, False)),
        ("REAL", "float32", (False, False)),
        ("double", "float64", (False, False)),
        ("dword", "uint32", (False, False)),
        ("WORD", "uint16", (False, False)),
        ("UInt64", "uint64", (False, False)),
        ("float32_BADC", "float32", (False, True)),
        ("float32 DCBA", "float32", (True, True)),
    ],
)
def test_a_type_is_known_under_its_usual_names(written, kind, orders):
    row = one(f"register,name,type\n7,power,{written}\n")
    assert (row.type, (row.low_word_first, row.low_byte_first)) == (kind, orders)


@pytest.mark.parametrize(
    ("written", "notation", "address", "table"),
    [
        ("30", "protocol", 30, Table.HOLDING),
        ("0x1E", "protocol", 30, Table.HOLDING),
        ("1Eh", "protocol", 30, Table.HOLDING),
        ("30-31", "protocol", 30, Table.HOLDING),
        ("40001", "protocol", 40001, Table.HOLDING),
        ("31", "one-based", 30, Table.HOLDING),
        ("40031", "modicon", 30, Table.HOLDING),
        ("400031", "modicon", 30, Table.HOLDING),
        ("30031", "modicon", 30, Table.INPUT),
    ],
)
def test_an_address_is_understood_in_each_notation(written, notation, address, table):
    row = one(f"address,name\n{written},power\n", notation=notation)
    assert (row.address, row.table) == (address, table)


@pytest.mark.parametrize(
    ("column", "written", "scale"),
    [
        ("scale", "0.01", 0.01),
        ("scale", "x0.1", 0.1),
        ("scale", "/10", 0.1),
        ("scale", "1/100", 0.01),
        ("scale", "10^-2", 0.01),
        ("gain", "10", 0.1),
        ("divisor", "1000", 0.001),
        ("factor", '"0,1"', 0.1),
        ("scale", "-", 1.0),
    ],
)
def test_a_scale_is_a_factor_or_a_divisor(column, written, scale):
    assert one(f"address,name,{column}\n1,power,{written}\n").scale == pytest.approx(scale)


@pytest.mark.parametrize(
    ("written", "table"),
    [("3", "holding"), ("04", "input"), ("FC03", "holding"), ("Input register", "input"), ("4x", "holding")],
)
def test_a_table_is_a_function_or_a_word(written, table):
    assert one(f"address,name,function\n1,power,{written}\n").table == table


def test_a_length_decides_where_the_type_does_not_say_it():
    table = read_table("address,name,type,length\n0,a,unsigned,2\n2,b,,2\n4,c,int,1\n5,d,string,4\n9,e,Char[6],\n")
    assert [(row.type, row.length) for row in table.rows] == [
        ("uint32", None), ("uint32", None), ("int16", None), ("string", 4), ("string", 3),
    ]  # fmt: skip


def test_each_refused_row_is_told_with_its_line():
    text = "Address,Name,Type\n0,Voltage,U16\n\nabc,Current,U16\n2,,U16\n3,Power,U17\n0,Other,U16\n9,Voltage,U16\n70000,Far,U16\n"
    table = read_table(text)
    assert [row.metric for row in table.rows] == ["voltage"]
    lines = [refused.partition(":")[0] for refused in table.refused]
    assert lines == ["line 4", "line 5", "line 6", "line 7", "line 8", "line 9"]
    assert "'abc' is no address" in table.refused[0]
    assert "it has no name" in table.refused[1]
    assert "'U17' is no known type" in table.refused[2]
    assert "it takes a register of voltage, which is in line 2" in table.refused[3]
    assert "voltage is in line 2 already" in table.refused[4]


def test_a_unit_may_stand_behind_the_name_and_the_header_may_begin_late():
    row = one("\ufeff\n\nReg.;Designation\n5;Active power (kW)\n")
    assert (row.line, row.metric, row.unit) == (4, "active_power", "kW")


@pytest.mark.parametrize(
    ("text", "why"), [("", "the table is empty"), ("a,b\n1,2\n", "no column is the address"), ("address\n1\n", "name")]
)
def test_what_is_no_table_is_refused(text, why):
    with pytest.raises(WrongTable, match=why):
        read_table(text)


def test_addresses_that_can_be_meant_in_two_ways_are_asked_for():
    assert needs_notation("address,name\n40001,a\n40003,b\n")
    assert not needs_notation("address,name\n1,a\n40003,b\n")


def test_what_is_written_is_a_profile():
    text = "address;name;type;unit;scale\n40001;Voltage L1;U16;V;0.1\n40002;Energy;FLOAT32-CDAB;kWh;\n30001;Serial;Char[8];;\n"
    facts = ProfileFacts(
        name="acme-x1", maker='Acme "C"', title="Acme X1", family="power-meter", document="manual", edition="1", section="2",
        points=text, addresses="modicon",
    )  # fmt: skip
    made = new_profile(facts)
    profile = PROFILE_FILES.parse(made.text, Path("acme-x1.toml"))
    assert (made.points, made.refused, profile.maker) == (3, (), 'Acme "C"')
    assert [(point.metric, point.address, point.scale, point.unit) for point in profile.points] == [
        ("voltage_l1", 0, 0.1, "V"), ("energy", 1, 1.0, "kWh"), ("serial", 0, 1.0, None),
    ]  # fmt: skip
