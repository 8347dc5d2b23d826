"""The identifier of a party: short, safe as a file name, a DNS label and a word in a plan."""

import difflib
import re
from collections.abc import Iterable

from tongzhou.errors import DataError

__all__ = ["check_display_name", "check_party_id", "is_party_id", "near_name", "shown"]

# One DNS label: a certificate names the party by it, and name constraints of a label cover no other
# party. No dots, therefore: the certificate authority of "a" would also be allowed to name "x.a".
_PARTY_ID = re.compile(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,62}", re.ASCII)
# X.509 allows 64 characters in the organisation's name.
_NAME_CHARACTERS = 64


def is_party_id(text: str) -> bool:
    """Whether `text` can name a party."""
    return _PARTY_ID.fullmatch(text) is not None


def check_party_id(text: str, field: str = "party id") -> str:
    """Return `text` if it can name a party.

    Raises:
        DataError: it cannot; the sentence says what is allowed.
    """
    if not is_party_id(text):
        raise DataError(
            "{field} must be 1 to 63 small letters, digits and single hyphens, beginning with a letter, "
            "got {got}",
            field=field,
            got=ascii(text[:70]),
        )
    return text


def check_display_name(text: str) -> str:
    """Return `text` if it can stand as an institution's name in a certificate.

    Raises:
        DataError: empty, too long, or with control characters.
    """
    if not 1 <= len(text) <= _NAME_CHARACTERS or not text.isprintable() or text != text.strip():
        raise DataError(
            "the name of an institution must have 1 to {most} printable characters and no outer spaces, "
            "got {length} characters",
            most=_NAME_CHARACTERS,
            length=len(text),
        )
    return text


def shown(text: str) -> str:
    """A stranger's text made fit for a sentence: no control characters, no other scripts, 80 characters."""
    return ascii(text)[1:-1][:80]


def near_name(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to a misspelt one, if any is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
