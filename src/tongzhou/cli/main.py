"""The command ``tongzhou``, and the outermost edge where every error becomes one sentence.

Nothing below this module prints an error. An error of ours is said in the reader's language and its kind
gives the exit code; anything else is our mistake, and its traceback goes to a file, not to the screen.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import msgspec
import typer

from tongzhou import __version__
from tongzhou.cli import approver, bill, consent, data, grant, job_result, log, model, party
from tongzhou.cli.command import LangOption, show_help
from tongzhou.cli.decide import add_decide
from tongzhou.cli.demo import add_demo
from tongzhou.cli.language import SpokenGroup, StoppedError, command_tree, usage_sentence
from tongzhou.cli.serve import add_serve
from tongzhou.cli.terminal import Manner, default_home, error_kind
from tongzhou.errors import TongzhouError
from tongzhou.evidence.errors import EvidenceError
from tongzhou.i18n import LANGUAGES, detect_language, translator
from tongzhou.node.crash import write_crash
from tongzhou.parties.times import utc_now

__all__ = ["EXIT_CODES", "app", "main", "run"]

_USAGE = 2
_CRASH = 70
_INTERRUPTED = 130
_TERMINATED = 143

EXIT_CODES: dict[int, str] = {
    0: "all is well",
    _USAGE: "the command line is wrong: an unknown command or option, or a value of the wrong type",
    _CRASH: "a mistake of ours; the sentence says where the report was written",
    _INTERRUPTED: "interrupted from the keyboard",
    _TERMINATED: "ended by SIGTERM",
}
"""Exit codes besides those of the error kinds (`tongzhou.errors`)."""

app = typer.Typer(
    name="tongzhou",
    cls=SpokenGroup,
    help="Institutions decide together on credit while every record stays with its owner.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for _noun in (party, data, approver, grant, consent, job_result, bill, model, log):
    app.add_typer(_noun.app)
add_serve(app)
add_decide(app)
add_demo(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tongzhou {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    lang: LangOption = None,
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    show_help(context)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: what Ctrl-C would do, with an exit code of its own."""


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise _Terminated


def main() -> None:
    """Run the command line of this process and exit."""
    # A job tells its partners that it stops, the demonstration stops its institutions: as after Ctrl-C.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
        arguments: the words after ``tongzhou``.

    Returns:
        The exit code: 0, that of the error's kind, or one of `EXIT_CODES`.
    """
    manner = _manner(arguments)
    try:
        code = command_tree(app, manner.lang)(list(arguments), prog_name="tongzhou", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outermost edge: no stack trace on a screen
        kind, sentence, exit_code = _describe(manner, error)
        return _fail(manner, kind, sentence, exit_code)
    return code if isinstance(code, int) else 0


def _describe(manner: Manner, error: BaseException) -> tuple[str, str, int]:
    """Kind, sentence and exit code of an error."""
    word = translator(manner.lang, "cli")
    if isinstance(error, StoppedError) and error.__cause__ is not None:
        error = error.__cause__
    match error:
        case TongzhouError() | EvidenceError():
            return error_kind(error), manner.sentence(error), error.exit_code
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "tongzhou"
            sentence = usage_sentence(error.format_message(), manner.lang)
            template = word("{sentence} (see: {command} --help)")
            return "usage", template.format(sentence=sentence, command=path), _USAGE
        case _Terminated():
            return "interrupted", word("stopped"), _TERMINATED
        case typer.Abort() | KeyboardInterrupt():
            return "interrupted", word("stopped"), _INTERRUPTED
    template = word("a mistake of ours, sorry: {kind}; a report was written to {file}")
    return (
        "crash",
        template.format(kind=type(error).__name__, file=_write_crash(manner.folder, error)),
        _CRASH,
    )


def _manner(arguments: Sequence[str]) -> Manner:
    """What the command line says about language and form, read before it is known to be right."""
    words = list(arguments)

    def after(option: str) -> str | None:
        said = None
        for position, word in enumerate(words):
            if word == option and position + 1 < len(words):
                said = words[position + 1]
            elif word.startswith(f"{option}="):
                said = word.partition("=")[2]
        return said

    lang = after("--lang")
    folder = after("--home") or os.environ.get("TONGZHOU_HOME") or default_home()
    return Manner(
        Path(folder),
        lang if lang in LANGUAGES and lang is not None else detect_language(os.environ),
        # The demonstration tells its story to people; there the option names a file.
        "--json" in words and words[:1] != ["demo"],
    )


def _fail(manner: Manner, kind: str, sentence: str, code: int) -> int:
    if manner.json:
        document = msgspec.json.encode({"error": {"kind": kind, "sentence": sentence}})
        sys.stdout.write(document.decode() + "\n")
    else:
        sys.stderr.write(sentence + "\n")
    return code


def _write_crash(folder: Path, error: BaseException) -> Path:
    """Write the traceback where the owner can find it; the temporary folder when there is no home."""
    place = folder / "crash" if folder.is_dir() else Path(tempfile.gettempdir()) / "tongzhou-crash"
    return write_crash(place, error, utc_now()) or Path(os.devnull)
