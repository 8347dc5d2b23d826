"""Size and shape of code: short files, short functions, few parameters, small classes."""

import ast

import house_code
import pytest

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
PARAMETERS_MAX = 8
POSITIONAL_MAX = 3
METHODS_MAX = 25

# A ratchet: functions that may be longer for now, with their length. It only ever shrinks.
LONGER: dict[str, int] = {}

MODULES = sorted(house_code.modules())


@pytest.mark.parametrize("name", MODULES)
def test_files_are_short(name: str) -> None:
    lines = (house_code.SOURCE / name).read_text(encoding="utf-8").count("\n")
    assert lines <= FILE_LINES_MAX, f"{name} has {lines} lines; split it"


@pytest.mark.parametrize("name", MODULES)
def test_functions_are_short(name: str) -> None:
    long = {
        f"{name}:{function}": house_code.code_lines(node)
        for function, node in house_code.functions(house_code.modules()[name])
        if house_code.code_lines(node) > FUNCTION_LINES_MAX
    }
    assert {key: length for key, length in long.items() if length > LONGER.get(key, 0)} == {}


def test_the_ratchet_has_no_slack() -> None:
    lengths = {
        f"{name}:{function}": house_code.code_lines(node)
        for name, tree in house_code.modules().items()
        for function, node in house_code.functions(tree)
    }
    assert {key: lengths.get(key) for key in LONGER} == LONGER


def _parameters(node: house_code.Function) -> tuple[list[str], list[str]]:
    positional = [
        item.arg for item in (*node.args.posonlyargs, *node.args.args) if item.arg not in ("self", "cls")
    ]
    return positional, [item.arg for item in node.args.kwonlyargs]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("cli/")])
def test_parameters_are_few(name: str) -> None:
    # Commands are exempt: their parameters are the options that people read in the help text.
    many = []
    for function, node in house_code.functions(house_code.modules()[name]):
        positional, named = _parameters(node)
        if len(positional) + len(named) > PARAMETERS_MAX:
            many.append(f"{function}: {len(positional) + len(named)} parameters")
    assert many == [], name


@pytest.mark.parametrize("name", MODULES)
def test_classes_are_small(name: str) -> None:
    for node in ast.walk(house_code.modules()[name]):
        if isinstance(node, ast.ClassDef):
            methods = [item for item in node.body if isinstance(item, house_code.Function)]
            assert len(methods) <= METHODS_MAX, f"{name}: {node.name} has {len(methods)} methods"


def test_typical_files_and_functions_are_small() -> None:
    files = sorted((house_code.SOURCE / name).read_text(encoding="utf-8").count("\n") for name in MODULES)
    lengths = sorted(
        house_code.code_lines(node)
        for tree in house_code.modules().values()
        for _, node in house_code.functions(tree)
    )
    assert files[len(files) // 2] <= 200
    assert lengths[len(lengths) // 2] <= 10
    assert lengths[len(lengths) * 9 // 10] <= 30
