"""The manual says what the code does: the reference is generated, and every command stands in it."""

import importlib.util
import re
from pathlib import Path

import house_code
import typer

from tongzhou import errors
from tongzhou.cli.main import EXIT_CODES, app

DOCS = house_code.ROOT / "docs"


def _generator():
    spec = importlib.util.spec_from_file_location(
        "make_reference", house_code.ROOT / "scripts" / "make_reference.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(group, path: str = "tongzhou") -> list[str]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, f"{path} {name}") if hasattr(command, "commands") else [f"{path} {name}"]
    return found


def test_the_reference_is_what_the_generator_writes() -> None:
    committed = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert committed == _generator().make_page(), "run make docs and commit docs/reference.md"


def test_every_command_is_in_the_reference_with_an_example() -> None:
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    for command in commands(typer.main.get_command(app)):
        section = text.partition(f"#### {command}\n")[2].split("\n#", 1)[0]
        assert section, f"{command} is not in the reference"
        assert "Example:" in section, f"{command} has no example"


def test_every_option_says_what_it_does() -> None:
    def walk(group, path: str) -> list[str]:
        silent = []
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                silent += walk(command, f"{path} {name}")
            else:
                silent += [
                    f"{path} {name} {item.name}" for item in command.params if not getattr(item, "help", "")
                ]
        return silent

    assert walk(typer.main.get_command(app), "tongzhou") == []


def test_exit_codes_are_distinct() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.TongzhouError)
    ]
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert set(codes) & set(EXIT_CODES) == set()


def _links(path: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [
        link
        for link in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in link and not link.startswith("#")
    ]


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for path in [*DOCS.rglob("*.md"), *house_code.ROOT.glob("*.md")]:
        for link in _links(path):
            if not (path.parent / link.split("#")[0]).exists():
                broken.append(f"{path.relative_to(house_code.ROOT)}: {link}")
    assert broken == []


def test_commands_in_pages_exist() -> None:
    """Every ``tongzhou noun verb`` in a page is a command."""
    known = {tuple(command.split()[1:]) for command in commands(typer.main.get_command(app))}
    nouns = {words[0] for words in known if len(words) > 1}
    for path in [*DOCS.rglob("*.md"), *house_code.ROOT.glob("*.md")]:
        for line in re.findall(
            r"^(?:    |\$ |tongzhou)?.*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE
        ):
            for match in re.finditer(r"(?:^|[\s`$])tongzhou ([a-z]+)(?: ([a-z]+))?", line):
                noun, verb = match.groups()
                if noun in nouns and verb is not None:
                    assert (noun, verb) in known, f"{path.name}: {match[0].strip()} is no command"
