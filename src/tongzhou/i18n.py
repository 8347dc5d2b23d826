"""The words users read, in their language.

English is the source: a sentence's English template is its key. Chinese stands in
``locale/zh/LC_MESSAGES/<room>.po``, one catalogue a room, compiled to ``.mo`` and shipped in the package.
A missing translation shows the English sentence: a reader never sees a key or an empty line.
"""

import gettext
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol, TypeGuard

__all__ = ["LANGUAGES", "Sayable", "detect_language", "domains", "say", "translator"]

LANGUAGES = ("en", "zh")
"""Languages that exist; the first is the source and the default."""

_LOCALE = Path(__file__).parent / "locale"
_VARIABLES = ("TONGZHOU_LANG", "LC_ALL", "LC_MESSAGES", "LANG")  # the first one that is set decides


class Sayable(Protocol):
    """An error with its sentence and its values apart (all kinds of ours have this shape)."""

    template: str
    values: Mapping[str, object] | dict[str, object]


def _identity(text: str) -> str:
    return text


@cache
def _catalogue(lang: str, domain: str) -> gettext.NullTranslations:
    path = _LOCALE / lang / "LC_MESSAGES" / f"{domain}.mo"
    if not path.is_file():
        return gettext.NullTranslations()
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)


def domains(lang: str) -> list[str]:
    """Return the names of the catalogues of a language, sorted.

    Args:
        lang: a language code such as ``"zh"``.

    Returns:
        Names of rooms; empty for English and for unknown languages.
    """
    return sorted(path.stem for path in (_LOCALE / lang / "LC_MESSAGES").glob("*.mo"))


def translator(lang: str, domain: str) -> Callable[[str], str]:
    """Return the function that translates one room's words.

    Args:
        lang: ``"en"`` or ``"zh"``; any other language reads English.
        domain: name of the room, e.g. ``"report"``.

    Returns:
        A function from English text to text in the language; unknown text comes back unchanged.
    """
    if lang == LANGUAGES[0]:
        return _identity
    translate = _catalogue(lang, domain).gettext

    def _translate(text: str) -> str:
        # gettext keeps the catalogue's header under the empty key
        return translate(text) if text else text

    return _translate


def say(error: Sayable, lang: str) -> str:
    """Return an error's sentence in a language, looking through the catalogues of all rooms.

    Args:
        error: an error with ``template`` and ``values``.
        lang: ``"en"`` or ``"zh"``.

    Returns:
        The sentence with its values; English when no catalogue knows the template. A value that is itself
        such an error is said in the same language.
    """
    values = {name: say(v, lang) if _is_sayable(v) else v for name, v in error.values.items()}
    for domain in domains(lang):
        translated = translator(lang, domain)(error.template)
        if translated != error.template:
            return translated.format(**values)
    return error.template.format(**values)


def _is_sayable(value: object) -> TypeGuard[Sayable]:
    return isinstance(value, Exception) and hasattr(value, "template") and hasattr(value, "values")


def detect_language(environ: Mapping[str, str]) -> str:
    """Choose the language from the environment.

    ``TONGZHOU_LANG`` decides before the locale variables, in the order of POSIX.

    Args:
        environ: usually ``os.environ``.

    Returns:
        One of :data:`LANGUAGES`.
    """
    for variable in _VARIABLES:
        value = environ.get(variable, "").strip().lower()
        if value:
            code = value.replace("-", "_").split("_")[0].split(".")[0]
            return code if code in LANGUAGES else LANGUAGES[0]
    return LANGUAGES[0]
