"""The help speaks the reader's language: every text of every command, the page around it, usage errors."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tongzhou.cli.help_page import EXAMPLE, wrap
from tongzhou.cli.language import SpokenCommand, SpokenGroup, command_tree, usage_sentence
from tongzhou.cli.main import app, run
from tongzhou.i18n import translator

CHINESE = re.compile(r"[\u4e00-\u9fff]")
# English words that a Chinese page may contain: names of commands, options, values, formats and metavars.
SENTENCE = re.compile(r"[A-Z]?[a-z]+ [a-z]+ [a-z]+")
# What a line may not be broken inside of: a word or a character with the punctuation that belongs to it.
PIECES = re.compile(r"（*(?:[a-z-]+|[^\x00-\x7f])[，。）]*")


def tree(lang: str) -> dict[str, object]:
    """Each command and group of the command line by its path."""
    found = {}

    def walk(command, path: str) -> None:
        found[path] = command
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{path} {name}")

    walk(command_tree(app, lang), "tongzhou")
    return found


def texts(command) -> list[str]:
    """Every text of a command that its page shows, examples aside."""
    params = command.get_params(typer.Context(command))
    paragraphs = [part for part in command.help.split("\n\n") if not part.startswith(EXAMPLE)]
    return [
        *paragraphs,
        *(item.help for item in params),
        *(item.rich_help_panel for item in params if item.rich_help_panel),
    ]


ENGLISH, ZH = tree("en"), tree("zh")
LEAVES = [path for path, command in ENGLISH.items() if not hasattr(command, "commands")]


def example(command) -> str:
    return next(part for part in command.help.split("\n\n") if part.startswith(EXAMPLE)).removeprefix(EXAMPLE)


def page(capsys, *words: str) -> str:
    capsys.readouterr()
    assert run(words) == 0
    return capsys.readouterr().out


def test_the_walk_finds_the_commands() -> None:
    assert {"tongzhou", "tongzhou party", "tongzhou party new", "tongzhou demo"} <= set(ENGLISH)
    assert len(LEAVES) > 20


@pytest.mark.parametrize("path", ENGLISH)
def test_every_text_is_in_the_catalogue_and_chinese(path) -> None:
    word = translator("zh", "cli")
    untranslated = [text for text in texts(ENGLISH[path]) if not CHINESE.search(word(" ".join(text.split())))]
    assert untranslated == [], f"{path}: add these to cli.po"


@pytest.mark.parametrize("path", ENGLISH)
def test_the_tree_carries_chinese_texts(path) -> None:
    """What completion shows beside a name comes from the tree, not from the page."""
    command = ZH[path]
    assert isinstance(command, SpokenCommand | SpokenGroup), f"{path} is not made by command() or noun()"
    for item in command.get_params(typer.Context(command)):
        assert CHINESE.search(item.help), f"{path}: {item.name}"
    assert CHINESE.search(command.get_short_help_str(200))


@pytest.mark.parametrize("path", ENGLISH)
def test_no_english_sentence_is_left_on_a_chinese_page(path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    lines = page(capsys, *path.split()[1:], "--help", "--lang", "zh").splitlines()
    left = [line for line in lines if SENTENCE.search(line) and not line.startswith(("用法：", "示例："))]
    assert left == []
    assert any(line.startswith(f"用法：{path} [选项]") for line in lines)


@pytest.mark.parametrize("path", ENGLISH)
def test_an_english_page_has_no_chinese(path, capsys) -> None:
    text = page(capsys, *path.split()[1:], "--help")
    assert not CHINESE.search(text)
    assert text.strip().startswith(f"Usage: {path} [OPTIONS]")


@pytest.mark.parametrize("path", LEAVES)
def test_examples_parse(path) -> None:
    words = shlex.split(example(ENGLISH[path]))
    command, rest = ENGLISH["tongzhou"], words[1:]
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    assert command is ENGLISH[path]
    command.make_context(path, rest)


@pytest.mark.parametrize("path", LEAVES)
def test_examples_are_the_same_in_both_languages(path) -> None:
    english = " ".join(example(ENGLISH[path]).split())
    assert f"示例：{english}" in ZH[path].help.split("\n\n")


def test_the_page_says_what_the_texts_do_not(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = page(capsys, "party", "new", "--help")
    assert re.search(r"ID +Short identifier: small letters, digits, hyphens\. \(required\)", text)
    assert "Where partners reach it. (default: 127.0.0.1:7443)" in text
    assert "(variable: TONGZHOU_HOME)" in text
    assert "--bin-counts <provider|both>" in page(capsys, "grant", "new", "--help")
    assert re.search(r"--port .*\(0 to 65535\)", page(capsys, "serve", "--help"))
    assert re.search(r"--last .*\(at least 1\) \(default: 20\)", page(capsys, "log", "show", "--help"))
    assert re.search(
        r"--last .*（不小于 1）（默认：20）", page(capsys, "log", "show", "--help", "--lang", "zh")
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--lang", "zh", "party", "new", "--help"),
        ("--lang=zh", "party", "new", "--help"),
        ("party", "--lang", "zh", "new", "--help"),
        ("party", "new", "--lang", "zh", "--help"),
        ("party", "new", "--help", "--lang", "zh"),
        ("--lang", "en", "party", "new", "--lang", "zh", "--help"),
    ],
)
def test_the_language_may_stand_anywhere(words, capsys) -> None:
    text = page(capsys, *words)
    assert "建立一家机构" in text
    assert "供人阅读的名称" in text
    assert "Options" not in text


@pytest.mark.parametrize("variable", ["TONGZHOU_LANG", "LC_ALL", "LANG"])
def test_the_environment_chooses_the_language(variable, capsys, monkeypatch) -> None:
    monkeypatch.setenv(variable, "zh_CN.UTF-8")
    assert "机构的文件夹" in page(capsys, "party", "new", "--help")
    assert "Folder of the institution" in page(capsys, "--lang", "en", "party", "new", "--help")


@pytest.mark.parametrize("words", [("--lang", "zh", "party", "show"), ("party", "--lang", "zh", "show")])
def test_what_a_command_says_follows_a_language_said_before_it(words, bank, capsys) -> None:
    assert run([*words, "--home", str(bank.home)]) == 0
    assert "尚未信任任何合作机构" in capsys.readouterr().out
    assert run([*words, "--home", str(bank.home), "--lang", "en"]) == 0
    assert "no partner is trusted yet" in capsys.readouterr().out


def test_a_locale_is_a_language_for_commands_too(bank, monkeypatch) -> None:
    monkeypatch.setenv("TONGZHOU_LANG", "zh_CN")
    assert "尚未信任" in bank("party", "show").out


def test_an_unknown_language_is_refused_wherever_it_stands(capsys) -> None:
    assert run(["--lang", "fr", "party", "show"]) == 4
    assert capsys.readouterr().err == "--lang must be one of en, zh, got fr\n"


@pytest.mark.parametrize("words", [[], ["--lang", "zh"], ["party"], ["party", "--lang", "zh"]])
def test_a_group_without_a_verb_shows_its_help(words, capsys) -> None:
    assert run(words) == 2
    printed = capsys.readouterr()
    assert ("命令" if "zh" in words else "Commands") in printed.out
    assert printed.err == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data", "shw"], "没有命令 'shw'。是否指 'show'？（参见：tongzhou data --help）"),
        (["data", "qqqq"], "没有命令 'qqqq'（参见：tongzhou data --help）"),
        (["data", "show", "--bogus"], "没有选项 --bogus（参见：tongzhou data show --help）"),
        (["log", "show", "--las", "3"], "没有选项 --las（相近的选项："),
        (["party", "new"], "缺少参数 'ID'（"),
        (["model", "export", "card"], "缺少选项 '--out'（"),
        (["log", "show", "x"], "的值无效：应为整数（"),
        (["log", "show", "--last", "0"], "'--last' 的值无效：应不小于 1（"),
        (["serve", "--port", "70000"], "'--port' 的值无效：应不大于 65535（"),
        (["model", "export", "c", "--out", "f", "--format", "x"], "'x' 不是以下之一：'json', 'csv'（"),
        (["log", "prove", "1", "--hide=3"], "选项 '--hide' 不接受值（"),
        (["log", "show", "1", "2"], "多余的参数：2（"),
        (["log", "show", "--lang", "zh", "--last"], "选项 '--last' 需要一个值（"),
    ],
)
def test_usage_errors_are_chinese(words, sentence, capsys, monkeypatch) -> None:
    monkeypatch.setenv("TONGZHOU_LANG", "zh")
    assert run(words) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1
    assert not SENTENCE.search(printed.partition("（参见")[0])


@pytest.mark.parametrize(
    "sentence",
    [
        "No such command 'a b'. Did you mean 'a c'?",
        "No such command 'a b'.",
        "No such option: --a (Possible options: --b, --c)",
        "No such option: --a",
        "Missing argument 'FILE'.",
        "Missing option '--a'. Choose from: x, y",
        "Missing option '--a'.",
        "Invalid value for '--a': the parser's own words",
        "Option '--a' requires an argument.",
        "Option '--a' does not take a value.",
        "Got unexpected extra argument(s) (a b)",
        "Input should be a valid integer, unable to parse string as an integer",
        "Input should be a valid number, unable to parse string as a number",
        "Input should be greater than or equal to 1",
        "Input should be less than or equal to 9",
        "'x' is not one of 'a', 'b'.",
    ],
)
def test_every_sentence_of_the_parser_is_translated(sentence) -> None:
    """The parser's sentences, with the fields they have; all stand in the terminal's catalogue."""
    assert usage_sentence(sentence, "en") == sentence.rstrip(".")
    said = usage_sentence(sentence, "zh")
    assert CHINESE.search(said)
    assert not re.search("(?i)no such|missing|invalid|option |input|unexpected|is not", said)


def test_an_unknown_sentence_stays_as_it_is_in_one_line() -> None:
    assert usage_sentence("Something new\n\t{odd}.", "zh") == "Something new {odd}"
    assert usage_sentence("Missing option '--a'. Choose from:\n\tx,\n\ty", "zh") == (
        "缺少选项 '--a'，可选值为：x, y"
    )


def test_the_same_process_speaks_both_languages() -> None:
    """Building one tree leaves the other alone."""
    before = texts(tree("en")["tongzhou party new"])
    tree("zh")
    assert texts(tree("en")["tongzhou party new"]) == before


def test_lines_break_between_characters_but_not_before_punctuation() -> None:
    assert list(wrap("机构的文件夹。", 12)) == ["机构的文件", "夹。"]
    assert list(wrap("写入 （文件）", 8)) == ["写入", "（文件）"]
    assert list(wrap("one two three", 7)) == ["one two", "three"]
    assert list(wrap("", 7)) == [""]


@given(st.text(st.sampled_from("ab -，。（）机构授权é"), max_size=60), st.integers(8, 30))
def test_wrapping_loses_nothing(text, width) -> None:
    lines = list(wrap(text, width))
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert cell_len(line) <= width or len(PIECES.findall(line)) == 1, line


def _tongzhou(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("tongzhou"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environ},
    )


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o default"), ("zsh", "#compdef tongzhou"), ("fish", "complete ")]
)
def test_the_completion_script_of_a_shell_is_printed(shell, mark) -> None:
    done = _tongzhou(_TONGZHOU_COMPLETE=f"source_{shell}")
    assert done.returncode == 0, done.stderr
    assert mark in done.stdout
    assert f"_TONGZHOU_COMPLETE=complete_{shell}" in done.stdout


def test_show_completion_prints_a_script_for_the_shell_it_is_called_from() -> None:
    program = Path(sys.executable).with_name("tongzhou")
    done = subprocess.run(
        ["bash", "-c", f"{shlex.quote(str(program))} --show-completion bash; true"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "_TONGZHOU_COMPLETE=complete_bash" in done.stdout


def test_completion_explains_in_the_readers_language() -> None:
    done = _tongzhou(
        _TONGZHOU_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="tongzhou party ne", TONGZHOU_LANG="zh"
    )
    assert "建立一家机构" in done.stdout


def test_completion_goes_on_after_a_language() -> None:
    done = _tongzhou(
        _TONGZHOU_COMPLETE="complete_bash", COMP_WORDS="tongzhou --lang zh party ne", COMP_CWORD="4"
    )
    assert done.stdout.split() == ["new"]
