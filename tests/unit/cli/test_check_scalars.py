"""`clientcert check` reads scalars as kubectl 1.32 does: `kubectl label --local -f - a=b -o json` gave these values."""

from typing import Any

import pytest

from clientcert.cli.check.yaml_documents import Unreadable, documents

NUMBERS = {
    "4e10": 40000000000, "4E10": 40000000000, "0819": 819, "08.5": 8.5, "09e1": 90, "00": 0, "-0": 0, "-5": -5, "+5": 5,
    "0x1F": 31, "+0x1f": 31, "0x1_F": 31, "0b11": 3, "-0B11": -3, "017": 15, "-017": -15, "0o17": 15, "0O17": 15,
    "1_000": 1000, "1_": 1, "1e3": 1000, "1.5e+3": 1500, "1e-3": 0.001, "100e-2": 1, "0.e3": 0, "5.": 5,
    ".5": 0.5, "+.5": 0.5, "-.5": -0.5, ".5e3": 500, "-9223372036854775808": -9223372036854775808,
    "9007199254740993": 9007199254740993, "18446744073709551615": 18446744073709551615.0,
    "12345678901234567890123": 1.2345678901234568e22,
    "!!float 3": 3, '!!int "12"': 12, "!!float 0o17": 15, '!<tag:yaml.org,2002:int> "7"': 7,
}  # fmt: skip
TEXTS = [
    "=", "1:30", "2026-03-01", "1e999", "0x", "1e", "_1", "._5", "0xFFFFFFFFFFFFFFFFFF", "0o8", "0b2", "+-5", ".", "+",
    "1.2.3", "0x1.8p3", "e3", "5e+", "nan", "Infinity", "nUll", "tRUE", "oN", "1" * 5000,
]  # fmt: skip
OTHERS: dict[str, Any] = {
    "y": True, "N": False, "yes": True, "Off": False, "ON": True, "TRUE": True, "null": None, "~": None, "": None,
    '"4e10"': "4e10", "!!str 3": "3", "!Ref x": "x", "! 12": "12", "!!binary YQ==": "a", "!!set x": "x", "!foo": "",
    "!!set [a]": ["a"], "!!seq {a: b}": {"a": "b"}, '!!bool "yes"': True, '!!null ""': None, "!!str ~": "~",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), [*NUMBERS.items(), *((each, each) for each in TEXTS), *OTHERS.items()])
def test_a_scalar(text: str, value: Any) -> None:
    [found] = documents(f"a: {text}\n".encode())
    assert found == {"a": value}
    assert isinstance(found["a"], bool) == isinstance(value, bool)


@pytest.mark.parametrize("text", ["!!int 3.5", "!!null x", "!!timestamp x", "!!float x", '!!binary "%%"', '!!int ""'])
def test_a_tag_that_the_value_contradicts(text: str) -> None:
    [found] = documents(f"a: {text}\n".encode())
    assert isinstance(found, Unreadable)


def test_keys_are_text() -> None:
    [found] = documents(b"1: a\ntrue: b\n1.5: c\n1e3: d\n0x10: e\n")
    assert found == {"1": "a", "true": "b", "1.5": "c", "1000": "d", "16": "e"}
