"""Characters made alike: width, case, blanks, invisible ones. Every normal form begins here."""

import re
import unicodedata
from collections.abc import Callable

__all__ = ["compact", "fold", "plain_text", "settled"]

_FOLDS_MAX = 8  # two rounds settle all but contrived text; a bound all the same
_SEPARATORS = re.compile(r"[\s\-.()/·]")
_INVISIBLE = frozenset({"Cc", "Cf"})  # zero-width blanks, byte-order marks and the like, from copied cells


def plain_text(value: str) -> str:
    """Text in capitals, full-width characters made narrow, one blank between words, nothing invisible."""
    if value.isascii() and value.isprintable():  # nearly all identifiers, several times faster
        return " ".join(value.split()).upper()
    return settled(fold, value)


def compact(value: str) -> str:
    """As `plain_text`, without blanks, hyphens, dots, brackets and strokes."""
    if value.isascii() and value.isprintable():
        return _SEPARATORS.sub("", value).upper()
    return settled(lambda text: _SEPARATORS.sub("", fold(text)), value)


def settled(step: Callable[[str], str], value: str) -> str:
    """Repeat `step` until it changes nothing: taking one character away may let its neighbours compose."""
    for _ in range(_FOLDS_MAX):
        changed = step(value)
        if changed == value:
            break
        value = changed
    return value


def fold(value: str) -> str:
    """One round of `plain_text`: Unicode NFKC, capitals by way of case folding."""
    text = unicodedata.normalize("NFKC", value)
    text = "".join(
        character
        for character in text
        if character.isspace() or unicodedata.category(character) not in _INVISIBLE
    )
    return unicodedata.normalize("NFKC", " ".join(text.split()).casefold().upper())
