"""The outermost edge: one sentence for each error, in the reader's language, with its exit code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tongzhou import errors
from tongzhou.cli import main
from tongzhou.cli.main import run
from tongzhou.cli.terminal import Manner, default_home, error_kind
from tongzhou.evidence.errors import EvidenceCheckError, EvidenceStoreError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.TongzhouError)
]
SENTENCE = "{where}: unknown key {key}; did you mean {near}?"


@pytest.fixture
def failing(monkeypatch):
    """Make every command line raise a given error."""

    def install(error: BaseException) -> None:
        def app(*_args, **_kwargs):
            raise error

        monkeypatch.setattr(main, "command_tree", lambda *_: app)

    return install


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_has_its_exit_code_and_one_sentence(kind, failing, capsys) -> None:
    failing(kind(SENTENCE, where="p.toml:3", key="shair", near="share"))
    assert run(["job", "check"]) == kind.exit_code
    printed = capsys.readouterr()
    assert printed.err == "p.toml:3: unknown key shair; did you mean share?\n"
    assert printed.out == ""


def test_the_sentence_is_in_the_readers_language(failing, capsys, monkeypatch) -> None:
    failing(errors.PlanError(SENTENCE, where="p.toml:3", key="shair", near="share"))
    run(["job", "check", "--lang", "zh"])
    assert capsys.readouterr().err == "p.toml:3：未知的键 shair；是否指 share？\n"
    monkeypatch.setenv("TONGZHOU_LANG", "zh")
    run(["job", "check"])
    assert "未知的键" in capsys.readouterr().err
    run(["job", "check", "--lang=en"])
    assert "unknown key" in capsys.readouterr().err


def test_machines_get_kind_and_sentence(failing, capsys) -> None:
    failing(errors.GrantError("no grant"))
    assert run(["job", "check", "--json"]) == 5
    assert capsys.readouterr().out == '{"error":{"kind":"grant","sentence":"no grant"}}\n'


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (EvidenceCheckError("entry {index} differs", index=3), 9, "verification"),
        (EvidenceStoreError("the store is damaged"), 8, "storage"),
    ],
)
def test_errors_of_the_evidence_room_have_our_kinds(error, code, kind, failing, capsys) -> None:
    failing(error)
    assert run(["log", "verify", "--json"]) == code
    assert f'"kind":"{kind}"' in capsys.readouterr().out
    assert error_kind(error) == kind


def test_a_mistake_of_ours_is_one_sentence_and_a_report(failing, capsys, tmp_path) -> None:
    failing(ZeroDivisionError("secret 12345"))
    assert run(["data", "show", "--home", str(tmp_path)]) == 70
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err + printed.out
    assert "12345" not in printed.err
    found = re.fullmatch(
        r"a mistake of ours, sorry: ZeroDivisionError; a report was written to (.*)\n", printed.err
    )
    report = Path(found[1])
    assert report.parent == tmp_path / "crash"
    assert "ZeroDivisionError: secret 12345" in report.read_text(encoding="utf-8")
    assert report.stat().st_mode & 0o077 == 0 or report.parent.stat().st_mode & 0o077 == 0


def test_a_mistake_without_a_home_is_reported_too(failing, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(RuntimeError())
    assert run(["data", "show", "--home", str(tmp_path / "none")]) == 70
    assert len(list((tmp_path / "tongzhou-crash").iterdir())) == 1
    assert "RuntimeError" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interruption_is_no_stack_trace(error, failing, capsys) -> None:
    failing(error)
    assert run(["job", "show"]) == 130
    assert capsys.readouterr().err == "stopped\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data", "shw"], "No such command 'shw'. Did you mean 'show'? (see: tongzhou data --help)"),
        (["data", "show", "--bogus"], "No such option: --bogus (see: tongzhou data show --help)"),
        (["party", "new"], "Missing argument"),
        (["log", "show", "x"], "should be a valid integer"),
    ],
)
def test_a_wrong_command_line_says_where_to_look(words, sentence, capsys) -> None:
    assert run(words) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1


def test_an_unknown_language_is_named(capsys) -> None:
    assert run(["party", "show", "--lang", "fr"]) == 4
    assert capsys.readouterr().err == "--lang must be one of en, zh, got fr\n"


def test_the_folder_is_chosen_by_option_then_variable_then_default(tmp_path) -> None:
    environ = {"TONGZHOU_HOME": str(tmp_path / "b")}
    assert Manner.choose(tmp_path / "a", None, json=False, environ=environ).folder == tmp_path / "a"
    assert Manner.choose(None, None, json=False, environ=environ).folder == tmp_path / "b"
    assert Manner.choose(None, None, json=False, environ={}).folder == default_home()


def test_a_folder_without_an_institution_says_what_to_do(nobody) -> None:
    sentence = nobody.fails(10, "party", "show")
    assert sentence.endswith("nowhere is not the folder of an institution; make one with: tongzhou party new")


def test_version_and_help(capsys) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"tongzhou \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert run(["data", "add", "--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--home", "--lang", "--json", "--identifier"):
        assert option in text


def _tongzhou(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("tongzhou")
    return subprocess.run(
        [command, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environ},
    )


def test_the_installed_command_completes() -> None:
    done = _tongzhou(_TONGZHOU_COMPLETE="complete_bash", COMP_WORDS="tongzhou gr", COMP_CWORD="1")
    assert done.stdout.split() == ["grant"]


def test_the_installed_command_exits_with_the_kinds_code(tmp_path) -> None:
    done = _tongzhou("data", "show", "--home", str(tmp_path), TONGZHOU_LANG="en")
    assert done.returncode == 10
    assert "is not the folder of an institution" in done.stderr


def test_a_closed_pipe_is_silent(bank) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = Path(sys.executable).with_name("tongzhou")
    done = subprocess.run(
        [command, "party", "show", "--home", str(bank.home)],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert done.stderr == b""


def test_the_demonstration_refuses_a_file_it_could_not_write_at_the_start(tmp_path, capsys) -> None:
    folder, target = tmp_path / "demo", tmp_path / "no" / "f.json"
    assert run(["demo", "--folder", str(folder), "--json", str(target)]) == 8
    printed = capsys.readouterr()
    assert printed.err == f"{target} cannot be written: No such file or directory\n"
    assert printed.out == ""
    assert not folder.exists()


def test_an_interruption_inside_a_command_is_said(capsys, monkeypatch, bank) -> None:
    """The parser catches what meets a command; it must still end with the sentence."""

    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("tongzhou.cli.party.issue_card", interrupt)
    assert run(["party", "show", "--home", str(bank.home)]) == 130
    assert capsys.readouterr().err == "stopped\n"
