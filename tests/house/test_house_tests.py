"""The tests themselves: found by name, unique, each able to fail, and as long as the code they test."""

import ast
from collections import Counter
from pathlib import Path

import house_code
import pytest

CHECKS = ("assert", "raises", "check", "warns", "verify", "fail")


def test_file_names_are_unique() -> None:
    names = Counter(Path(name).name for name in house_code.trees_of_tests())
    assert [name for name, count in names.items() if count > 1 and name != "conftest.py"] == []


def test_test_folders_are_no_packages() -> None:
    assert [name for name in house_code.trees_of_tests() if name.endswith("__init__.py")] == []


def _can_fail(node: ast.AST, helpers: set[str]) -> bool:
    body = ast.dump(node).lower()
    called = {house_code.dotted(item.func) for item in ast.walk(node) if isinstance(item, ast.Call)}
    return any(word in body for word in CHECKS) or bool(called & helpers)


@pytest.mark.parametrize("name", sorted(house_code.trees_of_tests()))
def test_every_test_can_fail(name: str) -> None:
    functions = list(house_code.functions(house_code.trees_of_tests()[name]))
    helpers = {function for function, node in functions if _can_fail(node, set())}
    for function, node in functions:
        if function.split(".")[-1].startswith("test_"):
            assert _can_fail(node, helpers), f"{name}: {function} asserts nothing"


@pytest.mark.parametrize("name", sorted(house_code.trees_of_tests()))
def test_no_test_name_occurs_twice_in_a_file(name: str) -> None:
    tree = house_code.trees_of_tests()[name]
    names = Counter(node.name for node in tree.body if isinstance(node, house_code.Function))
    assert [function for function, count in names.items() if count > 1] == []
