"""Play the tutorial and write what was printed into its pages, in place of what stands there.

    .venv/bin/python scripts/record_tutorial.py

Run it when a command's words have changed, then read the difference. Commands and saved files are taken from
docs/tutorial.md; the blocks of docs/tutorial.zh.md become the same. Numbers of grants and runs that commands
name must stand in the output of an earlier command.
"""

import importlib.util
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PLAYER = ROOT / "tests" / "docs" / "test_tutorial.py"
PAGE, CHINESE = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "tutorial.zh.md"
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def load_player() -> ModuleType:
    """The test that plays the page."""
    spec = importlib.util.spec_from_file_location("test_tutorial", PLAYER)
    if spec is None or spec.loader is None:
        sys.exit(f"{PLAYER} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules["test_tutorial"] = module
    spec.loader.exec_module(module)
    return module


class Recorder:
    """Takes the place of the comparison: keeps what was printed, and learns names by their place."""

    def __init__(self, player: ModuleType) -> None:
        self.printed: list[str] = []
        self.names: dict[str, str] = {}
        self._named = re.compile(player.KINDS["named"])
        self._book: Any = None

    def check(self, book: Any, expected: tuple[str, ...], printed: str, _where: str) -> None:
        """Pair the names of the page with those printed, in order of appearance in like lines."""
        self._book = book
        for old, new in zip(self._rows(expected), self._rows(printed.splitlines()), strict=False):
            for page, real in zip(old, new, strict=False):
                if page not in self.names:
                    self.names[page] = book.real[page] = real
        self.printed.append(printed)

    def _rows(self, lines: Any) -> list[list[str]]:
        return [found for line in lines if (found := [match[0] for match in self._named.finditer(line)])]

    def as_page(self, printed: str) -> list[str]:
        """What was printed, with the page's folder and ports."""
        for page, real in self._book.real.items():
            if page not in self.names:
                printed = printed.replace(real, page)
        return [line.rstrip() for line in printed.splitlines() if line.strip()]


def rewrite(block: str, recorder: Recorder, outputs: Any) -> str:
    """A console block with fresh output under each command."""
    lines, fresh = iter(block.splitlines()), []
    for line in lines:
        if re.match(r"\w+\$ ", line) is None:
            if line.startswith("```"):
                fresh.append(line)
            continue
        fresh.append(line)
        while fresh[-1].endswith("\\"):
            fresh.append(next(lines))
        fresh += recorder.as_page(next(outputs))
    text = "\n".join(fresh)
    for page, real in recorder.names.items():
        commands = rf"^(\w+\$ .*){re.escape(page)}"
        text = re.sub(commands, rf"\g<1>{real}", text, flags=re.MULTILINE)
    return text


def main() -> None:
    """Play, and write both pages."""
    player = load_player()
    recorder = Recorder(player)

    def check(book: Any, expected: tuple[str, ...], printed: str, where: str) -> None:
        recorder.check(book, expected, printed, where)

    player.Book.check = check
    with tempfile.TemporaryDirectory() as folder:
        player.play(PAGE, Path(folder))
    outputs = iter(recorder.printed)
    text = PAGE.read_text(encoding="utf-8")
    blocks = [
        rewrite(block, recorder, outputs) if block.startswith("```console") else block
        for block in BLOCK.findall(text)
    ]
    for page in (PAGE, CHINESE):
        prose = BLOCK.split(page.read_text(encoding="utf-8"))
        pieces = [piece for pair in zip(prose, [*blocks, ""], strict=True) for piece in pair]
        page.write_text("".join(pieces), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE} and {CHINESE}; read the difference\n")


if __name__ == "__main__":
    main()
