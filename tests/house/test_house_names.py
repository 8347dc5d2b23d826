"""Public names are listed, annotated and documented."""

import ast
import importlib

import house_code
import pytest

PUBLIC = [
    name
    for name in house_code.modules()
    if not any(part.startswith("_") and part != "__init__.py" for part in name.split("/"))
]


def module_name(path: str) -> str:
    return "tongzhou." + path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _defined(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | house_code.Function):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


def _listed(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


@pytest.mark.parametrize("name", [name for name in PUBLIC if not name.endswith("__init__.py")])
def test_public_names_are_listed(name: str) -> None:
    tree = house_code.modules()[name]
    assert _defined(tree) - set(_listed(tree)) == set(), (
        f"{name}: add to __all__, or begin with an underscore"
    )


@pytest.mark.parametrize("name", PUBLIC)
def test_listed_names_exist_and_are_documented(name: str) -> None:
    tree = house_code.modules()[name]
    module = importlib.import_module(module_name(name))
    assert module.__doc__, f"{name} says nothing about itself"
    for public in _listed(tree):
        assert hasattr(module, public), f"{name}: {public} is listed and does not exist"
    for node in tree.body:
        if isinstance(node, ast.ClassDef | house_code.Function) and node.name in _listed(tree):
            assert ast.get_docstring(node), f"{name}: {node.name} has no docstring"


@pytest.mark.parametrize("name", PUBLIC)
def test_public_methods_are_documented(name: str) -> None:
    for node in ast.walk(house_code.modules()[name]):
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        for item in node.body:
            if isinstance(item, house_code.Function) and not item.name.startswith("_"):
                assert ast.get_docstring(item), f"{name}: {node.name}.{item.name} has no docstring"


@pytest.mark.parametrize("name", sorted(house_code.modules()))
def test_functions_are_annotated(name: str) -> None:
    for function, node in house_code.functions(house_code.modules()[name]):
        assert node.returns is not None, f"{name}: {function} says not what it returns"


def _imports(tree: ast.Module, package: list[str]) -> set[str]:
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used |= {item.name for item in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            used |= {target, *(f"{target}.{item.name}" for item in node.names)}
    return used


def test_no_module_is_dead() -> None:
    """Every module is imported by another one or by a test, or is named in pyproject.toml."""
    used = set(
        (house_code.ROOT / "pyproject.toml")
        .read_text(encoding="utf-8")
        .replace(":", " ")
        .replace('"', " ")
        .split()
    )
    modules = {module_name(path): (path, tree) for path, tree in house_code.modules().items()}
    for name, (path, tree) in modules.items():
        package = name.split(".") if path.endswith("__init__.py") else name.split(".")[:-1]
        used |= _imports(tree, package)
        # A module that another process runs is named in a text: python -m tongzhou.room.module.
        used |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    for tree in house_code.trees_of_tests().values():
        used |= _imports(tree, [])
    entry_points = {
        name for name, (path, _) in modules.items() if path.endswith(("__init__.py", "__main__.py"))
    }
    assert set(modules) - used - entry_points == set()
