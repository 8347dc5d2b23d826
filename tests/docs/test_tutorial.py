"""The tutorial is played as it is written: three shells, real processes, real TLS on loopback.

What the page promises its reader holds here too. Fenced blocks ``console`` are played: a line ``bank$ …`` is
typed into that institution's terminal (a trailing backslash continues it), what follows must be printed.
Blocks ``toml file=…`` are saved first. These may differ from the page, and nothing else:

- ports 7441, 7442, 7443 and ``/home/you``: replaced in everything by free ports and a temporary folder;
- numbers of grants and runs, fingerprints, digests: whatever the first output gives, from then on the same;
- times, and the measured cells of a step's row;
- decimals, by a thousandth; runs of spaces;
- a line ``…`` stands for any lines, ``…`` inside a line for any text.

A command may fail only where the page goes on with ``echo $?``. An answer typed by the reader stands behind
``[y/N]:``. After a command that ends with ``&`` the reader waits until its output file says something.

When words have changed, ``scripts/record_tutorial.py`` plays the page and writes what was printed into it.
"""

import contextlib
import os
import pty
import re
import select
import socket
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE, CHINESE = (ROOT / "docs" / name for name in ("tutorial.md", "tutorial.zh.md"))
TERMINALS = ("bank", "cardnet", "helper")
READER = "/home/you"
PATIENCE_S = 60
SHOWN = (
    *(
        "party new",
        "party card",
        "party trust",
        "data add",
        "data show",
        "data check",
        "grant new",
        "grant revoke",
    ),
    *("serve", "job check", "job run", "job show", "job resume", "model show", "model export", "decide"),
    *("log show", "log verify", "log prove"),
)
PORTS = ("7441", "7442", "7443")

STEP_ROW = re.compile(r"^(match|bin|select|train|score|publish) +[\d.e-]+ +[\d.e-]+ ")
KINDS = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\b\d:\d\d:\d\d\b|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}",
    "named": r"g-[0-9a-f]{10}|\d{8}-[0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{4}(?: [0-9a-f]{4}){9}",
    "decimal": r"(?<![\d.])\d[\d,]*\.\d+(?!\.\d)",
    "any": r"…",
}
VARIABLE = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in KINDS.items()))


@dataclass(frozen=True)
class Typed:
    """A line that the reader types, and what the page says is printed."""

    terminal: str
    command: str
    expected: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Saved:
    """A file that the reader saves."""

    path: str
    content: str


def parse(text: str) -> list[Typed | Saved]:
    """The page as what its reader does."""
    done: list[Typed | Saved] = []
    for block in re.finditer(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        language, path, body = block.groups()
        first = text[: block.start(3)].count("\n") + 1
        if path is not None:
            done.append(Saved(path, body))
        elif language == "console":
            done += _typed(body.splitlines(), first)
    return done


def _typed(lines: list[str], first: int) -> list[Typed]:
    found: list[Typed] = []
    place = 0
    while place < len(lines):
        start = re.fullmatch(rf"({'|'.join(TERMINALS)})\$ (.*)", lines[place])
        assert start is not None, f"line {first + place}: nobody types this: {lines[place]}"
        terminal, command, begun = start[1], start[2], place
        while command.endswith("\\"):
            place += 1
            command = command[:-1] + lines[place].strip()
        place += 1
        end = next((i for i in range(place, len(lines)) if re.match(r"\w+\$ ", lines[i])), len(lines))
        found.append(Typed(terminal, command, tuple(lines[place:end]), first + begun))
        place = end
    return found


@dataclass
class Book:
    """What stands for what: things on the page, and what they are in this reading."""

    real: dict[str, str] = field(default_factory=dict)

    def put(self, text: str) -> str:
        """The text with everything known replaced."""
        for page, real in self.real.items():
            text = text.replace(page, real)
        return text

    def check(self, expected: tuple[str, ...], printed: str, where: str) -> None:
        """Compare, and learn the names that appear for the first time."""
        lines = [squeeze(line) for line in printed.splitlines() if line.strip()]
        place, anything = 0, False
        for wanted in filter(str.strip, expected):
            if wanted.strip() == "…":
                anything = True
                continue
            while not self._fits(squeeze(wanted), lines[place] if place < len(lines) else None):
                assert anything and place < len(lines), f"{where}: expected\n  {wanted}\nin\n{printed}"
                place += 1
            place, anything = place + 1, False
        assert anything or place == len(lines), f"{where}: more was printed than the page shows:\n{printed}"

    def _fits(self, wanted: str, got: str | None) -> bool:
        if got is None:
            return False
        names, decimals = [], []

        def pattern(found: re.Match[str]) -> str:
            if found.lastgroup == "named" and found[0] not in self.real:
                names.append(found[0])
                return f"({KINDS['named']})"
            if found.lastgroup == "decimal":
                decimals.append(found[0])
                return rf"(?P<d{len(decimals) - 1}>[\d,]+(?:\.\d+)?)"
            return {"any": ".*", "time": f"(?:{KINDS['time']})"}.get(
                found.lastgroup or "", re.escape(self.put(found[0]))
            )

        if STEP_ROW.match(wanted):
            regex = re.escape(wanted.split(maxsplit=1)[0]) + r"(?: [\d.,e-]+)+(?: .*)?"
        else:
            parts, last = [], 0
            for found in VARIABLE.finditer(wanted):
                parts += [re.escape(self.put(wanted[last : found.start()])), pattern(found)]
                last = found.end()
            regex = "".join([*parts, re.escape(self.put(wanted[last:]))])
        match = re.fullmatch(regex, got)
        if match is None or not all(
            number(match[f"d{place}"]) == pytest.approx(number(one), rel=1e-3)
            for place, one in enumerate(decimals)
        ):
            return False
        plain = [
            text for key, text in enumerate(match.groups()) if key + 1 not in match.re.groupindex.values()
        ]
        self.real |= dict(zip(names, plain, strict=True))
        return True


def squeeze(line: str) -> str:
    return " ".join(line.split())


def number(text: str) -> float:
    return float(text.replace(",", ""))


class Shell:
    """A terminal: bash that reads what is typed from a pseudo-terminal and prints into a pipe."""

    END = "--- the end of it"

    def __init__(self, home: Path) -> None:
        self._master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        scripts = Path(sys.executable).parent
        environment = {key: os.environ[key] for key in ("PYTHONPATH", "LD_LIBRARY_PATH") if key in os.environ}
        environment |= {
            "HOME": str(home),
            "PATH": f"{scripts}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=home,
            start_new_session=True,
        )
        os.close(slave)

    def type(self, command: str, answers: list[str]) -> tuple[str, int]:
        """Type a command and the answers to its questions; returns what was printed and the exit code."""
        self._send(command)
        printed = ""
        for answer in answers:
            printed += self._read_until(re.compile(r"\[y/N\]: $"), printed) + answer + "\n"
            self._send(answer)
        self._send(f"code=$?; echo '{self.END}' $code; (exit $code)")
        printed += self._read_until(re.compile(rf"{self.END} \d+\n$"), "")
        text, _, code = printed.rpartition(self.END)
        return text, int(code)

    def _send(self, line: str) -> None:
        os.write(self._master, line.encode() + b"\n")

    def _read_until(self, end: re.Pattern[str], before: str) -> str:
        assert self._bash.stdout is not None
        data, deadline = b"", time.monotonic() + PATIENCE_S
        while not end.search(data.decode(errors="replace")):
            ready, _, _ = select.select([self._bash.stdout], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"no end after {PATIENCE_S} s: {before}{data.decode(errors='replace')}"
            piece = os.read(self._bash.stdout.fileno(), 1 << 16)
            assert piece, f"the terminal closed: {before}{data.decode(errors='replace')}"
            data += piece
        return data.decode()

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, 15)
        self._bash.wait(timeout=10)
        os.close(self._master)
        if self._bash.stdout is not None:
            self._bash.stdout.close()


def free_ports(count: int) -> list[str]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


def output_file(folder: Path, command: str) -> Path:
    """Where a command in the background writes; emptied, so that the first byte is of this command."""
    target = re.search(r"> *(\S+) 2>&1 &$", command)
    assert target is not None, f"a command in the background must write to a file: {command}"
    file = folder / target[1]
    file.unlink(missing_ok=True)
    return file


def wait_for_output(file: Path, command: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not (file.exists() and file.stat().st_size):
        assert time.monotonic() < deadline, f"nothing came from: {command}"
        time.sleep(0.02)


def play(page: Path, home: Path) -> None:
    """Do what the page says, in the order in which it says it."""
    book = Book({READER: str(home)})
    for port, real in zip(PORTS, free_ports(len(PORTS)), strict=True):
        book.real |= {f"127.0.0.1:{port}": f"127.0.0.1:{real}", f"port {port}": f"port {real}"}
    tables = [
        sys.executable,
        str(ROOT / "scripts" / "make_tutorial_tables.py"),
        str(home / "tongzhou-tutorial"),
    ]
    subprocess.run(tables, check=True, capture_output=True)
    shells = {name: Shell(home) for name in TERMINALS}
    places = dict.fromkeys(TERMINALS, home)
    steps = parse(page.read_text(encoding="utf-8"))
    try:
        for step, after in zip(steps, [*steps[1:], None], strict=True):
            if isinstance(step, Saved):
                file = home / step.path.removeprefix("~/")
                file.parent.mkdir(exist_ok=True)
                file.write_text(book.put(step.content), encoding="utf-8")
                continue
            where = f"{page.name}, line {step.line}: {step.command}"
            command = book.put(step.command)
            answers = [line.rpartition("[y/N]: ")[2] for line in step.expected if "[y/N]: " in line]
            file = output_file(places[step.terminal], command) if command.endswith("&") else None
            printed, code = shells[step.terminal].type(command, answers)
            if command.startswith("cd "):
                places[step.terminal] = Path(command[3:].replace("~", str(home)))
            if file is not None:
                wait_for_output(file, command)
            told = isinstance(after, Typed) and after.command == "echo $?" and after.terminal == step.terminal
            assert code == 0 or told, f"{where}: exit code {code}\n{printed}"
            book.check(step.expected, printed, where)
    finally:
        for shell in shells.values():
            shell.close()


@pytest.mark.slow
def test_the_tutorial_works_as_written(tmp_path: Path) -> None:
    play(PAGE, tmp_path)


def test_the_chinese_page_has_the_same_blocks_and_headings() -> None:
    def shape(page: Path) -> tuple[list[str], list[str]]:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)
        return blocks, re.findall(r"^#+ (?:\d+\.)?", re.sub(r"(?s)```.*?```", "", text), re.MULTILINE)

    assert shape(CHINESE) == shape(PAGE)


def test_the_page_shows_every_step_of_the_way() -> None:
    typed = " ".join(step.command for step in parse(PAGE.read_text("utf-8")) if isinstance(step, Typed))
    for words in SHOWN:
        assert f"tongzhou {words}" in typed, words


def check_page(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    play(page, tmp_path)


def test_a_page_that_promises_something_else_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"page.md, line 2: echo one: expected\s+two\s+in\s+one"):
        check_page(tmp_path, "```console\nbank$ echo one\ntwo\n```\n")


def test_a_page_that_shows_less_than_is_printed_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="more was printed"):
        check_page(tmp_path, "```console\nbank$ printf 'one\\ntwo\\n'\none\n```\n")


def test_a_failure_that_the_page_does_not_tell_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="exit code 3"):
        check_page(tmp_path, "```console\nbank$ (exit 3)\n```\n")
    check_page(tmp_path, "```console\nbank$ (exit 3)\nbank$ echo $?\n3\n```\n")


def test_names_are_learnt_and_then_held(tmp_path: Path) -> None:
    first = "```console\nbank$ echo g-00000000aa of 0.5001 at 2026-01-01T00:00:00Z\n"
    first = first.replace("echo g-00000000aa", "echo g-$(printf %010d 7)")
    good = f"{first}g-1111111111 of 0.5 at 2026-02-02T00:00:00Z\nhelper$ echo it was g-1111111111\n"
    check_page(tmp_path, f"{good}it was g-1111111111\n```\n")
    with pytest.raises(AssertionError, match="expected"):
        check_page(tmp_path, f"{first}g-1111111111 of 0.51 at 2026-02-02T00:00:00Z\n```\n")
    with pytest.raises(AssertionError, match="expected"):
        check_page(tmp_path, f"{good}it was g-1111111111\nbank$ echo g-0000000009\ng-1111111111\n```\n")


def test_questions_are_answered(tmp_path: Path) -> None:
    check_page(
        tmp_path,
        "```console\nbank$ printf 'Sure? [y/N]: '; read word; echo got $word\nSure? [y/N]: y\ngot y\n```\n",
    )
