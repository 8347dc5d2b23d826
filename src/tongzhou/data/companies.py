"""Names of companies: a normal form for exact matching, and the parts that a name is made of.

What is brought together, and what is not, is decided once for every owner, since two owners that decide
otherwise would miss each other in silence:

- Width, case, blanks, punctuation, brackets, accents of Latin letters, traditional and simplified
characters, and
  numerals in ordinals (第1, 第一) never tell two companies apart.
- Spellings of the same legal form are one (有限责任公司 and 有限公司; Limited and Ltd). Different forms stay
  different: the form is written, never dropped.
- Places stay. Only the word for the kind of division goes (上海市 and 上海), where that leaves no doubt.
- Nothing is guessed: short names, other word order and typing mistakes are for `similar`, and for a person
to confirm.

The parts of a normal form joined give it back whole, so that any part can be looked at apart and nothing
is lost.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tongzhou.data._folding import fold, settled
from tongzhou.data._legal_forms import (
    BRANCH_ENDINGS,
    CHINESE_ENDINGS,
    CHINESE_FORMS,
    EASTERN_MARKS,
    LATIN_FORMS,
    LATIN_PREFIXES,
)
from tongzhou.data._regions import place_names, read_standard

__all__ = ["CompanyName", "Part", "Role", "company_flaw", "company_form", "parse_company"]

Role = Literal["place", "core", "form", "branch"]
"""What a part of a name says: where, who and what, its legal form, which of its offices."""

_MARKS = str.maketrans("", "", "™®©℠\N{COMBINING ENCLOSING CIRCLE}")
_HAN = r"々〇㐀-䶿一-鿿豈-﫿\U00020000-\U0003FFFF"
_EAST = rf"{_HAN}ぁ-ヿㇰ-ㇿ가-힣ᄀ-ᇿ"  # scripts written without blanks between words, or as if
_TOKENS = re.compile(rf"[{_EAST}]+|[^{_EAST}\s]+")
_IS_EAST = re.compile(rf"[{_EAST}]")
_IS_HAN = re.compile(rf"[{_HAN}]")
_QUOTES = re.compile(r"['’‘`´ʼ]")
_ZERO = re.compile(r"(?<=[一二三四五六七八九〇])[○◯](?=[一二三四五六七八九〇○◯])")
_FORMAL = str.maketrans("壹贰叁肆伍陆柒捌玖拾佰仟", "一二三四五六七八九十百千")
_FORMAL_ORDINAL = re.compile(r"第[壹贰叁肆伍陆柒捌玖拾佰仟]+")
_ORDINAL = re.compile(r"(?<=第)\d{1,4}(?!\d)|(?<!\d)\d{1,4}(?=[号厂店队所])")
_DIGITS = "零一二三四五六七八九"
_UNITS = ("", "十", "百", "千")
_BRANCH = re.compile(rf"^(.+(?:{'|'.join(CHINESE_ENDINGS)}))(.+(?:{'|'.join(BRANCH_ENDINGS)}))$")
_FORMS_MAX = 3  # CORP LTD, TBK after PT
_FORM_WORDS_MAX = 7  # GESELLSCHAFT MIT BESCHRANKTER HAFTUNG AND CO KG
_PLACES_MAX = 3  # province, city, county
_PLACE_CHARACTERS_MAX = 15
_COUNTRY = "中国"
_CORE_CHARACTERS_MIN = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a company's name in normal form."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class CompanyName:
    """A company's name in normal form, taken apart.

    Attributes:
        normal: the normal form; the texts of `parts`, a blank between two Latin ones, are the same.
        parts: in the order of the name.
        place: divisions named at the beginning, or behind the core; empty when there are none.
        core: who and what: the name without place, legal form and branch; empty only if the text has no
            letters.
        form: the legal form; empty when the name says none.
        branch: the office, when the name is one of an office and no company of its own.
    """

    normal: str
    parts: tuple[Part, ...]
    place: str
    core: str
    form: str
    branch: str

    @classmethod
    def of(cls, normal: str, parts: Sequence[Part]) -> "CompanyName":
        """Put the parts together by what they say."""
        said: dict[Role, list[str]] = {"place": [], "core": [], "form": [], "branch": []}
        for part in parts:
            said[part.role].append(part.text)
        return cls(normal, tuple(parts), *(_join(texts) for texts in said.values()))


def company_form(value: str) -> str:
    """The normal form of a company's name; empty when the text has no letter or digit.

    Args:
        value: the name as somebody wrote it.
    """
    return settled(_form, value)


def company_flaw(text: str) -> str | None:
    """What a name in normal form lacks: any letter, or a legal form (a short name has none)."""
    if not any(character.isalpha() for character in text):
        return "identifier-form"
    name = parse_company(text, normal=True)
    return None if name.form or name.branch else "identifier-legal-form"


def parse_company(value: str, *, normal: bool = False) -> CompanyName:
    """Take a name apart.

    Args:
        value: the name, in normal form or as somebody wrote it.
        normal: whether it is known to be in normal form already, which saves half of the time.

    Returns:
        Its normal form and parts; one empty core for a text without letters and digits.
    """
    text = value if normal else company_form(value)
    if _IS_EAST.search(text):
        return CompanyName.of(text, _eastern_parts(text))
    return CompanyName.of(text, _latin_parts(text.split()))


def _form(value: str) -> str:
    text = fold(value.translate(_MARKS))
    text = "".join(_plain(character) for character in text) if not text.isascii() else text
    for mark, form in EASTERN_MARKS.items():
        text = text.replace(mark, form)
    text = _words_apart(text)
    tokens = _joined_initials(_TOKENS.findall(text))
    if not any(_IS_EAST.search(token) for token in tokens):
        return " ".join(_latin_form(tokens))
    return _eastern_form(_join(tokens))


def _plain(character: str) -> str:
    """Simplified for traditional, and Latin letters without their accents (not kana without their marks)."""
    if character in _simplified():
        return _simplified()[character]
    if character < "\u0250" or "\u1e00" <= character < "\u1f00":
        return _UNACCENTED.get(character) or unicodedata.normalize("NFD", character)[0]
    return "" if "\u0300" <= character <= "\u036f" else character


_UNACCENTED = {
    "Ø": "O",
    "Ł": "L",
    "Đ": "D",
    "Ð": "D",
    "Þ": "TH",
    "Æ": "AE",
    "Œ": "OE",
    "Ħ": "H",
    "Ŧ": "T",
    "İ": "I",
}


@cache
def _simplified() -> dict[str, str]:
    return {line[0]: line[1] for line in read_standard("simplified.txt")}


def _words_apart(text: str) -> str:
    """Blanks for punctuation, a word for the ampersand; apostrophes go without a trace."""
    text = _ZERO.sub("〇", _QUOTES.sub("", text))
    text = re.sub(r"(?<=[0-9A-Z])\s*[&+]\s*(?=[0-9A-Z])", " AND ", text)
    return "".join(character if _is_of_word(character) else " " for character in text)


def _is_of_word(character: str) -> bool:
    """Letters, digits and the marks that letters carry: Thai and Hindi write vowels so."""
    return character.isalnum() or unicodedata.category(character) in ("Mn", "Mc")


def _joined_initials(tokens: list[str]) -> list[str]:
    """J P MORGAN is JP MORGAN, and S R O is SRO."""
    joined: list[str] = []
    initials = False
    for token in tokens:
        single = len(token) == 1 and "A" <= token <= "Z"
        if single and initials:
            joined[-1] += token
        else:
            joined.append(token)
        initials = single
    return joined


def _join(tokens: list[str]) -> str:
    """Tokens with a blank between two that have no eastern character at the seam."""
    text = ""
    for token in tokens:
        if text and token and not (_IS_EAST.match(text[-1]) or _IS_EAST.match(token[0])):
            text += " "
        text += token
    return text


def _latin_form(tokens: list[str]) -> list[str]:
    if len(tokens) > 1 and tokens[0] == "THE":
        tokens = tokens[1:]
    core, forms = _latin_split(tokens)
    return [*core, *forms]


def _latin_split(tokens: list[str]) -> tuple[list[str], list[str]]:
    """Words before the legal forms, and the forms as a normal form writes them; one word always stays."""
    forms: list[str] = []
    for _ in range(_FORMS_MAX):
        for words in range(min(_FORM_WORDS_MAX, len(tokens) - 1), 0, -1):
            form = LATIN_FORMS.get("".join(tokens[-words:]))
            if form is not None:
                tokens, forms = tokens[:-words], [*form.split(), *forms]
                break
        else:
            break
    return tokens, forms


def _latin_parts(tokens: list[str]) -> list[Part]:
    before = tokens[:1] if len(tokens) > 1 and tokens[0] in LATIN_PREFIXES else []
    core, forms = _latin_split(tokens[len(before) :])
    parts = [Part("form", before[0])] if before else []
    parts.append(Part("core", " ".join(core)))
    return [*parts, Part("form", " ".join(forms))] if forms else parts


def _eastern_form(text: str) -> str:
    text = _FORMAL_ORDINAL.sub(lambda found: found[0].translate(_FORMAL), text)
    text = _ORDINAL.sub(lambda found: _numeral(int(found[0])), text)
    for spelling, form in CHINESE_FORMS.items():
        text = text.replace(spelling, form)
    head, branch = _branch_split(text)
    if head.endswith("股份公司"):
        head = head.removesuffix("股份公司") + "股份有限公司"
    places, core = _leading_places(head)
    names = place_names()
    return "".join(names.get(place, place) for place in places) + core + branch


def _numeral(number: int) -> str:
    """A number below 10,000 as it is read: 12 is 十二, 105 is 一百零五."""
    if number == 0:
        return "零"
    text, gap = "", False
    digits = str(number)
    for place, digit in enumerate(digits):
        unit = _UNITS[len(digits) - place - 1]
        if digit == "0":
            gap = True
            continue
        text += ("零" if gap and text else "") + _DIGITS[int(digit)] + unit
        gap = False
    return text[1:] if text.startswith("一十") else text


def _branch_split(text: str) -> tuple[str, str]:
    found = _BRANCH.match(text)
    return (found[1], found[2]) if found else (text, "")


def _leading_places(text: str) -> tuple[list[str], str]:
    """The country and divisions that a name begins with, and the rest, which is never empty."""
    places: list[str] = []
    names = place_names()
    if text.startswith(_COUNTRY) and len(text) > len(_COUNTRY) + 1:
        places.append(_COUNTRY)
        text = text.removeprefix(_COUNTRY)
    for _ in range(_PLACES_MAX):
        longest = min(_PLACE_CHARACTERS_MAX, len(text) - 1)
        name = next((text[:end] for end in range(longest, 1, -1) if text[:end] in names), None)
        if name is None:
            break
        places.append(name)
        text = text[len(name) :]
    return places, text


def _eastern_parts(normal: str) -> list[Part]:
    text, branch = _branch_split(normal)
    form = next((end for end in CHINESE_ENDINGS if text.endswith(end) and len(text) > len(end)), "")
    text = text.removesuffix(form) if form else text
    before = next(
        (start for start in ("株式会社", "有限会社", "合同会社", "주식회사") if text.startswith(start)), ""
    )
    before = before if len(text) > len(before) else ""
    places, core = _leading_places(text[len(before) :])
    while places and len(core) < _CORE_CHARACTERS_MIN:
        core = places.pop() + core
    core, after = _place_behind(core)
    named: list[tuple[Role, str]] = [
        ("form", before), ("place", "".join(places)), ("core", core), ("place", after), ("form", form),
        ("branch", branch),
    ]  # fmt: skip
    return [Part(role, part) for role, part in named if part or role == "core"]


def _place_behind(core: str) -> tuple[str, str]:
    """A place at the end of a core, as in 腾讯科技(深圳), whose brackets a normal form drops."""
    for size in range(min(_PLACE_CHARACTERS_MAX, len(core) - 2), 1, -1):
        end = core[-size:]
        if (end in place_names() or end == _COUNTRY) and _IS_HAN.match(core):
            return core[:-size], end
    return core, ""
