"""Telephone numbers of China, and others by E.164."""

import re

from tongzhou.data._folding import compact, plain_text, settled

__all__ = ["phone_flaw", "phone_form"]

# 021-62345678 转 8001, 021-62345678 ext. 8001, 021-62345678x8001, 021-62345678-8001
_EXTENSION = re.compile(
    r"(?P<body>.*\d.*?)[\s,;(]*(?:转|轉|分机|EXT(?:ENSION)?|X|#)[\s.:]*(?P<extension>\d{1,6})\)?", re.ASCII
)
_EXTENSION_GROUP = re.compile(r"(?P<body>.*\d{7,8})\s*-\s*(?P<extension>\d{1,6})", re.ASCII)
_TRUNK = re.compile(r"^((?:\+|00)[\d\s.-]+)\(0\)", re.ASCII)  # +44 (0)20: dialled only within the country

_MOBILE = r"1[3-9]\d{9}"
_THINGS = r"1[04]\d{11}"  # machines have numbers of thirteen digits
_SERVICE = r"(?:400|800)\d{7}|9[56]\d{3,4}"
_AREA = r"(?:(?:10|2[0-57-9])[2-9]\d{7}|[3-9]\d{2}[2-9]\d{6,7})"  # area code without its 0, and the number
_NATIONAL = re.compile(
    rf"(?:\+|00)?86(?:(?P<plain>{_MOBILE}|{_THINGS}|{_SERVICE})|0?(?P<area>{_AREA}))", re.ASCII
)
_MOBILE_BY_TRUNK = re.compile(rf"0({_MOBILE})", re.ASCII)  # as dialled from another province
_SOUND = re.compile(
    rf"(?:{_MOBILE}|{_THINGS}|{_SERVICE}|0{_AREA}|\+(?!86)[1-9]\d{{6,14}})(?:#\d{{1,6}})?", re.ASCII
)
_LONGEST = (
    60  # characters of a number with its extension; a longer text is none, and patterns take long over it
)
_LOCAL = re.compile(r"[2-9]\d{6,7}(?:#\d{1,6})?", re.ASCII)


def phone_form(value: str) -> str:
    """Digits as dialled within China, foreign numbers behind a plus, an extension behind ``#``."""
    return settled(_form, value)


def _form(value: str) -> str:
    text = plain_text(value)
    if len(text) > _LONGEST:
        return compact(text)
    text = _TRUNK.sub(r"\1", text)
    found = _EXTENSION.fullmatch(text) or _EXTENSION_GROUP.fullmatch(text)
    if found is None:
        return _number(compact(text))
    number = _number(compact(found["body"]))
    return f"{number}#{found['extension']}" if number else compact(text)


def _number(text: str) -> str:
    national = _NATIONAL.fullmatch(text)
    if national:
        return national["plain"] or f"0{national['area']}"
    mobile = _MOBILE_BY_TRUNK.fullmatch(text)
    if mobile:
        return mobile[1]
    return f"+{text[2:]}" if text.startswith("00") and text[2:].isdigit() else text


def phone_flaw(text: str) -> str | None:
    """The rule that a number in normal form breaks: the numbering plan of China, or the length of E.164."""
    if _SOUND.fullmatch(text):
        return None
    return "identifier-area" if _LOCAL.fullmatch(text) else "identifier-form"
