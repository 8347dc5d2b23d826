"""Strategies for the tests, built from texts so that each test shows what it is about."""

from tongzhou.decide import DecisionEngine, Strategy, compile_strategy

HEAD = """\
format = 1
name = "test"
version = "1"
title = { en = "Test", zh = "测试" }
"""


def declare(name: str, kind: str, **more: str) -> str:
    lines = [
        f"[inputs.{name}]",
        f'type = "{kind}"',
        f'words = {{ en = "{name} in words", zh = "{name} 的含义" }}',
    ]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in more.items())]) + "\n"


def rule(code: str, condition: str, *, grade: str | None = "restrictive", **more: str) -> str:
    key = "when" if grade else "require"
    lines = ["[[rules]]", f'id = "{code}"', f"{key} = '''{condition}'''"]
    if grade:
        lines.append(f'grade = "{grade}"')
    lines.append(f'words = {{ en = "{code} in words.", zh = "{code} 的含义。" }}')
    return "\n".join([*lines, *(f'{key} = "{value}"' for key, value in more.items())]) + "\n"


def strategy_files(*inputs: str, head: str = "", rules: str = "", admission: str = "") -> dict[str, bytes]:
    files = {"strategy.toml": (HEAD + head + "".join(inputs)).encode()}
    if rules:
        files["rules.toml"] = rules.encode()
    if admission:
        files["admission.toml"] = admission.encode()
    return files


def engine_of(*inputs: str, **texts: str) -> DecisionEngine:
    """Build an engine from declared inputs and texts of files."""
    return compile_strategy(Strategy.from_files(strategy_files(*inputs, **texts)))
