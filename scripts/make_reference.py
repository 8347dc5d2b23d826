"""Write docs/reference.md from the code: commands, options, exit codes, plan keys.

A test compares the committed page with what this makes, so that the manual cannot lag behind.
"""

import inspect as python_inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from msgspec import NODEFAULT, inspect

from tongzhou import errors
from tongzhou.cli.main import EXIT_CODES, app
from tongzhou.node.plan import DOCUMENT
from tongzhou.node.release_settings import RELEASE_DOCUMENT

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
COMMON = ("--home", "--lang", "--json", "--help")
INTRO = """\
# Reference

This page is written by `make docs` from the code. Start with the [tutorial](tutorial.md).

Every command takes these options after its verb:

| option | meaning |
|---|---|
| `--home DIR` | folder of the institution; else the variable `TONGZHOU_HOME`, else `~/.tongzhou` |
| `--lang en\\|zh` | language of words; else the variable `TONGZHOU_LANG`, else that of the locale |
| `--json` | print one JSON document instead of words; an error is `{"error": {"kind", "sentence"}}` |
| `--help` | explain the command |

`--lang` may stand anywhere: `tongzhou --lang zh --help` explains everything in Chinese.

## Completion in the shell

`tongzhou --install-completion` lets the shell complete commands and options: it writes to the start-up files
of the shell it is called from (bash, zsh, fish or PowerShell) and works in the next shell you open.
`tongzhou --show-completion` prints the script instead, to be read first or put elsewhere. Where the shell
cannot be told, as in a build of an image, a variable names it:

    mkdir -p ~/.local/share/bash-completion/completions
    _TONGZHOU_COMPLETE=source_bash tongzhou > ~/.local/share/bash-completion/completions/tongzhou

`source_zsh` and `source_fish` print the scripts of those shells.
"""

PLAN_INTRO = "## Plan\n\nA plan is a TOML file with these sections. Unknown keys are refused.\n"
RELEASE_INTRO = """\
## Published table

The settings of `tongzhou data anonymise` are a TOML file with these sections. Unknown keys are refused. How
to choose them stands in [Publishing a table](anonymising.md).
"""


def make_page() -> str:
    """The whole page as Markdown."""
    parts = [INTRO, "## Commands\n", *_commands(typer.main.get_command(app), "tongzhou")]
    parts += [_exit_codes(), _keys(DOCUMENT, PLAN_INTRO, "<party>")]
    parts.append(_keys(RELEASE_DOCUMENT, RELEASE_INTRO, "<column>"))
    return "\n".join(parts)


def _commands(group: Any, path: str) -> Iterator[str]:
    for name in group.commands:
        command = group.commands[name]
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield f"### {path} {name}\n\n{_line(command.help)}\n"
            yield from _commands(command, f"{path} {name}")
        else:
            yield _command(command, f"{path} {name}")


def _command(command: Any, path: str) -> str:
    text, _, example = (command.help or "").partition("Example: ")
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    usage = " ".join([path, "[OPTIONS]", *(_metavar(item) for item in arguments)])
    lines = [f"#### {path}\n", _line(text), "", f"    {usage}", ""]
    if example:
        lines += ["Example:", "", f"    {_line(example)}", ""]
    rows = [f"| `{_metavar(item)}` | {item.help} | |" for item in arguments]
    for item in command.params:
        if item.param_type_name == "option" and not set(item.opts) & set(COMMON):
            value = f" {item.metavar}" if item.metavar else ""
            names = ", ".join(f"`{option}{value}`" for option in item.opts)
            rows.append(f"| {names} | {item.help} | {_default(item)} |")
    if rows:
        lines += ["| option | meaning | default |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _metavar(item: Any) -> str:
    return item.metavar or item.name.upper()


def _default(item: Any) -> str:
    if item.required:
        return "required"
    if item.default in (None, False, ()) or callable(item.default):
        return ""
    return f"`{item.default}`"


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _exit_codes() -> str:
    kinds = [
        (kind.exit_code, name.removesuffix("Error").lower(), _line((kind.__doc__ or "").split("\n\n")[0]))
        for name, kind in python_inspect.getmembers(errors, python_inspect.isclass)
        if kind is not errors.TongzhouError and issubclass(kind, errors.TongzhouError)
    ]
    rows = sorted([*((code, "", meaning) for code, meaning in EXIT_CODES.items()), *kinds])
    lines = ["## Exit codes\n", "| code | kind | meaning |", "|---|---|---|"]
    lines += [f"| {code} | {kind} | {meaning} |" for code, kind, meaning in rows]
    return "\n".join([*lines, "", "`kind` is what `--json` gives in an error.", ""])


def _keys(document: Any, intro: str, one: str) -> str:
    lines = [intro]
    for section in inspect.type_info(document).fields:  # type: ignore[attr-defined]
        kind, meaning = _unwrap(section.type)
        name = section.name
        if isinstance(kind, inspect.DictType):
            kind, _ = _unwrap(kind.value_type)
            if not isinstance(kind, inspect.StructType):
                lines += [f"### [{name}]\n", f"{meaning[:1].upper()}{meaning[1:]}.\n"]
                continue
            name = f"{name}.{one}"
        lines += [f"### [{name}]\n", f"{meaning[:1].upper()}{meaning[1:]}.\n"]
        lines += ["| key | meaning | allowed | default |", "|---|---|---|---|"]
        lines += [_key(item) for item in kind.fields]  # type: ignore[attr-defined]
        lines.append("")
    return "\n".join(lines)


def _unwrap(kind: inspect.Type) -> tuple[inspect.Type, str]:
    meaning = ""
    while True:
        if isinstance(kind, inspect.Metadata):
            meaning = (kind.extra_json_schema or {}).get("description", meaning)
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            kind = next(option for option in kind.types if not isinstance(option, inspect.NoneType))
        else:
            return kind, meaning


def _key(item: inspect.Field) -> str:
    kind, meaning = _unwrap(item.type)
    if item.required:
        default = "required"
    elif item.default is NODEFAULT or item.default is None:
        default = ""
    else:
        default = f"`{_toml(item.default)}`"
    return f"| `{item.name}` | {meaning} | {_allowed(kind)} | {default} |"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _allowed(kind: inspect.Type) -> str:
    match kind:
        case inspect.LiteralType():
            allowed = ", ".join(f"`{value}`" for value in kind.values)
        case inspect.IntType():
            allowed = f"whole number, {kind.ge} to {kind.le}"
        case inspect.FloatType():
            allowed = f"number, {kind.ge:g} to {kind.le:g}"
        case _:
            allowed = _PLAIN.get(type(kind), "text")
    return allowed


_PLAIN = {inspect.BoolType: "`true`, `false`", inspect.VarTupleType: "list", inspect.DictType: "section"}


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(make_page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
