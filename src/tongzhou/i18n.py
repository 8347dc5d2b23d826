"""The words users read, in their language.

English is the source: a sentence's English template is its key. Chinese stands in
``locale/zh/LC_MESSAGES/<room>.po``, one catalogue a room, compiled to ``.mo`` and shipped in the package.
A missing translation shows the English sentence: a reader never sees a key or an empty line.

Some sentences arrive finished, in English: what a peer answered, what a run stored. `resay` finds the
template that such a sentence was made from and says it anew.
"""

import gettext
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol, Self, TypeGuard

__all__ = ["LANGUAGES", "Sayable", "detect_language", "domains", "resay", "say", "translator"]

LANGUAGES = ("en", "zh")
"""Languages that exist; the first is the source and the default."""

_LOCALE = Path(__file__).parent / "locale"
# Fields that hold a sentence by convention. The others hold names and numbers of users, which may read like
# words of ours and must stay as they are.
_SENTENCE_FIELDS = frozenset({"cause", "detail", "hint", "problem", "reason", "sentence"})
_LONGEST = 4000  # characters of a sentence that is recognised; ours are far shorter
_DEPTH = 4  # sentences inside each other
_MOST_TEXTS = 64  # texts looked at for one sentence: bounds the time whatever a peer writes
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
        such an error is said in the same language, and so is a finished sentence in a field such as
        ``reason`` (see `resay`).
    """
    values = {name: _said_value(name, value, lang) for name, value in error.values.items()}
    for domain in domains(lang):
        translated = translator(lang, domain)(error.template)
        if translated != error.template:
            return translated.format(**values)
    return error.template.format(**values)


def _said_value(name: str, value: object, lang: str) -> object:
    if _is_sayable(value):
        return say(value, lang)
    if isinstance(value, str) and name in _SENTENCE_FIELDS:
        return resay(value, lang)
    return value


def _is_sayable(value: object) -> TypeGuard[Sayable]:
    return isinstance(value, Exception) and hasattr(value, "template") and hasattr(value, "values")


def resay(sentence: str, lang: str) -> str:
    """Say a finished English sentence of ours in another language.

    The sentence is held against the templates of all rooms, any text standing for a field. The template with
    the most characters of its own wins, those of sentences inside it (a peer's reason, say) counted: they are
    said anew too. No regular expression: the time grows with the length of the text alone.

    Args:
        sentence: a sentence as `str` of an error gives it.
        lang: ``"en"`` or ``"zh"``.

    Returns:
        The sentence in the language; as it came when it is English that is asked for, when no template fits,
        or when it is longer than any of ours.
    """
    if lang == LANGUAGES[0] or len(sentence) > _LONGEST:
        return sentence
    found = _Hearing(_patterns(lang)).hear(sentence, _DEPTH)
    return sentence if found is None else found.text


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A template as what stands between its fields.

    Attributes:
        literals: one more than `slots`.
        slots: names of the fields; two that stand side by side share a slot.
        target: pieces of the translation, each with the field that follows it.
        weight: characters of the literals.
        holds_sentence: whether a field may be a sentence itself.
        bare: whether the literals are punctuation only, so that any text may fit.
    """

    literals: tuple[str, ...]
    slots: tuple[tuple[str, ...], ...]
    target: tuple[tuple[str, str | None], ...]
    weight: int
    holds_sentence: bool
    bare: bool

    @classmethod
    def make(cls, template: str, translation: str) -> Self:
        literals, slots = [""], list[tuple[str, ...]]()
        for literal, name in _pieces(template):
            literals[-1] += literal
            if name is None:
                continue
            if slots and not literals[-1]:
                slots[-1] = (*slots[-1], name)
            else:
                slots.append((name,))
                literals.append("")
        names = {name for slot in slots for name in slot}
        return cls(
            tuple(literals),
            tuple(slots),
            tuple(_pieces(translation)),
            sum(map(len, literals)),
            not names.isdisjoint(_SENTENCE_FIELDS),
            not any(one.isalpha() for literal in literals for one in literal),
        )

    def fields(self, text: str) -> dict[str, str] | None:
        """What the fields hold if the whole text was made from this template; each takes the least it can."""
        head, tail = self.literals[0], self.literals[-1]
        if not self.slots:
            return {} if text == head else None
        if not text.startswith(head) or not text.endswith(tail):
            return None
        found: dict[str, str] = {}
        at, end = len(head), len(text) - len(tail)
        for slot, literal in zip(self.slots, (*self.literals[1:-1], None), strict=True):
            stop = end if literal is None else text.find(literal, at + 1, end)
            if stop <= at:
                return None
            for name, value in zip(slot, _shares(text[at:stop], len(slot)), strict=True):
                if found.setdefault(name, value) != value:
                    return None
            at = stop + len(literal or "")
        return found


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    """Literals of a template, each with the name of the field behind it."""
    return ((literal, name) for literal, name, _, _ in string.Formatter().parse(template))


def _shares(text: str, count: int) -> list[str]:
    """What fields side by side hold: the first a value, the next a remark in brackets if there is one."""
    if count == 1:
        return [text]
    start = text.find(" (", 1)
    shares = [text] if start < 0 else [text[:start], text[start:]]
    return [*shares, *[""] * (count - len(shares))]


@cache
def _patterns(lang: str) -> tuple[_Pattern, ...]:
    """Every template of a language, made at the first sentence, the heaviest first."""
    texts: dict[str, str] = {}
    for domain in domains(lang):
        # gettext has no public way to list a catalogue
        for template, translation in getattr(_catalogue(lang, domain), "_catalog", {}).items():
            # a single word is a name or a label, and two rooms may mean different things by it
            if isinstance(template, str) and " " in template and template != translation:
                texts.setdefault(template, translation)
    made = [_Pattern.make(template, translation) for template, translation in texts.items()]
    return tuple(sorted(made, key=lambda one: (-one.weight, len(one.slots))))


@dataclass(frozen=True, slots=True)
class _Heard:
    """A recognised sentence said anew, and how many of its characters were ours."""

    text: str
    weight: int


@dataclass(slots=True)
class _Hearing:
    """Recognises one sentence and those inside it."""

    patterns: tuple[_Pattern, ...]
    known: dict[tuple[str, int], _Heard | None] = field(default_factory=dict)

    def hear(self, text: str, depth: int) -> _Heard | None:
        """The text said anew; None when it is not a sentence of ours, or too deep inside one."""
        key = (text, depth)
        if key not in self.known:
            if depth == 0 or len(self.known) >= _MOST_TEXTS:
                return None
            self.known[key] = None
            self.known[key] = self._best(text, depth)
        return self.known[key]

    def _best(self, text: str, depth: int) -> _Heard | None:
        best: _Heard | None = None
        for pattern in self.patterns:
            # heaviest first: only sentences inside can make a later one heavier
            if best is not None and pattern.weight <= best.weight and not pattern.holds_sentence:
                continue
            values = pattern.fields(text)
            heard = None if values is None else self._say(pattern, values, depth)
            if heard is not None and (best is None or heard.weight > best.weight):
                best = heard
        return best

    def _say(self, pattern: _Pattern, values: dict[str, str], depth: int) -> _Heard | None:
        weight = pattern.weight
        for name, value in values.items():
            inner = self.hear(value, depth - 1) if name in _SENTENCE_FIELDS else None
            if inner is not None:
                values[name], weight = inner.text, weight + inner.weight
        if pattern.bare and weight == pattern.weight:
            return None
        said = "".join(
            literal + (values[name] if name is not None else "") for literal, name in pattern.target
        )
        return _Heard(said, weight)


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
