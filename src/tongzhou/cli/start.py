"""The console script: small, so that Ctrl-C is one sentence also while the rest is being imported."""

import os
import signal
import sys
from itertools import pairwise
from types import FrameType

__all__ = ["main"]

_INTERRUPTED = 130
_sentence = "stopped"


def main() -> None:
    """Import the command line, run it, and exit with its code."""
    # Whoever started this may have Ctrl-C ignored, as a shell does in the background.
    listening = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listening:
        signal.signal(signal.SIGINT, _leave)
    _translate()
    from tongzhou.cli.main import main as command_line  # noqa: PLC0415 - see above

    try:
        if listening:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command_line()
    except KeyboardInterrupt:
        _leave()


def _translate() -> None:
    """Have the sentence ready in the reader's language."""
    from tongzhou.i18n import detect_language, translator  # noqa: PLC0415 - see above

    global _sentence  # noqa: PLW0603 - a signal handler has no other way to learn it
    said = next((word for option, word in pairwise(sys.argv) if option == "--lang"), None)
    _sentence = translator(said or detect_language(os.environ), "cli")(_sentence)


def _leave(_signal: int = signal.SIGINT, _frame: FrameType | None = None) -> None:
    # At once, not by an exception: compiled libraries print or replace one that meets them while they start.
    # Nothing was begun yet that would have to be ended.
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{_sentence}\n".encode())
    os._exit(_INTERRUPTED)
