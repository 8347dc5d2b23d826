"""The pages: links lead somewhere, commands exist, numbers are those of a run, named tests exist."""

import ast
import json
import re
import shlex
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
import typer

from tongzhou.cli.main import app
from tongzhou.node.job_messages import STEPS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
README, CHINESE = (ROOT / name for name in ("README.md", "README.zh.md"))
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)*")
HOUSE_PATHS = ("/work/", "/tmp/", "/root/")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(path: Path) -> str:
    return FENCE.sub("", text_of(path))


def anchors(path: Path) -> set[str]:
    """Headings as GitHub names them."""
    found: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if found[slug] else slug)
        found[slug] += 1
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"(https?|mailto):", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_speaks_of_the_machine_it_was_written_on(page: Path) -> None:
    assert [path for path in HOUSE_PATHS if path in text_of(page)] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    seen, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        for link in LINK.findall(prose(page)):
            target = (page.parent / link.split("#")[0]).resolve()
            # A link to a folder leads to what is in it.
            waiting += (
                target.glob("*.md") if link.endswith("/") else [target] if target.suffix == ".md" else []
            )
    assert [str(page) for page in PAGES if page not in seen] == []


# --- commands -------------------------------------------------------------------------------------


def command_lines(page: Path) -> list[str]:
    """Every line of a fenced block that runs our command."""
    lines = []
    for language, body in FENCE.findall(text_of(page)):
        if language in {"sh", "console", "bash"}:
            joined = re.sub(r"\\\n\s*", "", body)
            lines += re.findall(r"^(?:\w*\$ )?(tongzhou .*)$", joined, re.MULTILINE)
    return lines


def find_command(words: list[str]):
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"there is no command {words[0]}"
        command = command.commands[words.pop(0)]
    return command


@pytest.mark.parametrize(
    ("page", "line"),
    [(page, line) for page in PAGES for line in command_lines(page)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_every_command_in_a_block_exists_with_its_options(page: Path, line: str) -> None:
    words = shlex.split(re.split(r" (?:[>&|]|2>&1)", line)[0], comments=True)[1:]
    command = find_command(words)
    known = {name for item in command.params for name in (*item.opts, *item.secondary_opts)} | {"--help"}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known


def test_there_are_commands_in_blocks() -> None:
    assert len(command_lines(README)) == 11
    assert len(command_lines(DOCS / "tutorial.md")) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_and_script_exists(page: Path) -> None:
    makefile = text_of(ROOT / "Makefile")
    for target in re.findall(r"(?:^|[`\s])make ([a-z]+)`?(?:$|[`\n,.;)])", text_of(page), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for script in re.findall(r"\bscripts/\w+\.(?:py|sh)\b", text_of(page)):
        assert (ROOT / script).exists(), script


# --- README in two languages, and its numbers ------------------------------------------------------


def code_of(path: Path) -> list[str]:
    """Fenced blocks without comments."""
    return [re.sub(r" *#.*", "", body) for _, body in FENCE.findall(text_of(path))]


def numbers_in(text: str) -> set[str]:
    """Numbers, without the commas between thousands."""
    return {number.replace(",", "") for number in NUMBER.findall(text)}


def headings_of(path: Path) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(path), re.MULTILINE)]


def test_both_readmes_have_the_same_headings_blocks_and_tables() -> None:
    assert headings_of(CHINESE) == headings_of(README)
    assert code_of(CHINESE) == code_of(README)
    assert [len(re.findall(mark, prose(CHINESE), re.MULTILINE)) for mark in (r"^\|", r"^- ")] == [
        len(re.findall(mark, prose(README), re.MULTILINE)) for mark in (r"^\|", r"^- ")
    ]


def test_both_readmes_say_the_same_numbers() -> None:
    # Small numbers may be words in one language ("six"), and months have names in one of them.
    def telling(path: Path) -> set[str]:
        return {number for number in numbers_in(LINK.sub("", prose(path))) if len(number) > 2}

    assert telling(CHINESE) == telling(README)


def test_both_readmes_lead_to_the_same_places() -> None:
    def places(path: Path) -> set[str]:
        return {link.replace(".zh.", ".") for link in LINK.findall(prose(path)) if "README" not in link}

    assert places(CHINESE) == places(README)


def section(path: Path, place: int) -> str:
    """The n-th section of the second level."""
    return re.split(r"^## .*$", text_of(path), flags=re.MULTILINE)[place]


@pytest.mark.parametrize("page", [README, CHINESE], ids=lambda page: page.name)
def test_the_numbers_of_the_demonstration_are_those_of_a_run(page: Path) -> None:
    rows = re.findall(r"^\| .*$", section(page, 3), re.MULTILINE)[1:]
    printed = text_of(DOCS / "demo-output.txt")
    figures = json.loads(text_of(DOCS / "demo-figures.json"))
    told = numbers_in(printed) | {
        str(figures["matched_rows"]),
        f"{figures['cpu_s']['train_protected']:.1f}",
    }
    assert len(rows) == 8
    assert [row for row in rows if not numbers_in(row) <= told] == []


def test_figures_and_output_are_of_one_run() -> None:
    printed, figures = text_of(DOCS / "demo-output.txt"), json.loads(text_of(DOCS / "demo-figures.json"))
    for name in ("bank", "joint", "clear"):
        assert f"{figures['auc'][name]:.4f}" in printed
    for step in figures["steps"]:
        assert re.search(rf"^{step['name']} .* {step['bytes']:,} ", printed, re.MULTILINE)


# --- pictures ---------------------------------------------------------------------------------------


def test_pictures_are_small_and_are_pictures() -> None:
    for path in DOCS.joinpath("images").glob("*.png"):
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG\r\n"), path.name
        assert len(data) < 300_000, path.name


def test_drawings_need_no_network() -> None:
    for path in DOCS.joinpath("images").glob("*.svg"):
        root = ET.fromstring(path.read_bytes())
        loaded = [value for node in root.iter() for key, value in node.attrib.items() if key.endswith("href")]
        assert [value for value in loaded if not value.startswith("#")] == [], path.name
        assert "@import" not in text_of(path)


# --- architecture and threat model ---------------------------------------------------------------------


def room_table() -> dict[str, set[str]]:
    rows = re.findall(
        r"^\| `(\w+)/` \| [^|]* \| ([^|]*) \|", section(DOCS / "architecture.md", 2), re.MULTILINE
    )
    table: dict[str, set[str]] = {}
    for name, allowed in rows:
        before = set(table)
        table[name] = before if "all" in allowed else set(re.findall(r"`(\w+)`", allowed))
    return table


def rooms() -> list[Path]:
    return [path for path in (ROOT / "src" / "tongzhou").iterdir() if (path / "__init__.py").exists()]


def test_every_room_stands_in_the_architecture() -> None:
    assert {room.name for room in rooms()} == set(room_table())


@pytest.mark.parametrize("room", rooms(), ids=lambda room: room.name)
def test_a_room_imports_what_the_architecture_says(room: Path) -> None:
    found = set()
    for path in room.rglob("*.py"):
        for node in ast.walk(ast.parse(text_of(path))):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if module and module.startswith("tongzhou."):
                found.add(module.split(".")[1])
    free = {room.name} | (set() if room.name == "evidence" else {"errors", "i18n"})
    assert found - free <= room_table()[room.name]


def test_the_linter_knows_every_room() -> None:
    contracts = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    known = {name for one in contracts for key in ("layers", "source_modules") for name in one.get(key, [])}
    assert {f"tongzhou.{room.name}" for room in rooms() if room.name != "demo"} <= known


NAMED = re.compile(r"`(test_\w+\.py): (test_\w+)`")


def test_every_test_that_the_threat_model_names_exists() -> None:
    files = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}
    named = NAMED.findall(text_of(DOCS / "threat-model.md"))
    missing = [
        f"{file}: {test}"
        for file, test in named
        if file not in files or f"def {test}(" not in text_of(files[file])
    ]
    assert len(named) > 40
    assert missing == []


def test_every_test_that_the_clause_map_names_exists_and_every_clause_has_one() -> None:
    files = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}
    rows = re.findall(r"^\| (?!clause|heading|---)(.*)$", text_of(DOCS / "jrt-0196.md"), re.MULTILINE)
    named = [NAMED.findall(row) for row in rows]
    assert [row[:20] for row, tests in zip(rows, named, strict=True) if not tests] == []
    missing = [
        f"{file}: {test}"
        for tests in named
        for file, test in tests
        if file not in files or f"def {test}(" not in text_of(files[file])
    ]
    assert missing == []


def test_every_attack_has_a_test() -> None:
    attacks = section(DOCS / "threat-model.md", 5)
    rows = re.findall(r"^\| (?!attack|---)(.*)$", attacks, re.MULTILINE)
    assert len(rows) > 30
    assert [row for row in rows if not NAMED.search(row)] == []


@pytest.mark.parametrize("step", STEPS)
def test_every_step_says_who_learns_what(step: str) -> None:
    assert f"| `{step}`" in section(DOCS / "threat-model.md", 4)
