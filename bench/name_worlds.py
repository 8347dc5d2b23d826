"""Company names with known variants, of real words where the data sets lie beside the checkout.

A variant is made from a name by one of the ways in which two systems come to write one company
differently. What is a pair is therefore known, as far as the list itself names no company twice.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from bench.measures import ROOT
from tongzhou.data.companies import company_form, parse_company

__all__ = ["NameWorld", "chinese_world", "latin_world"]

DATA = ROOT.parent / "shared" / "data"
"""Where public data sets may lie; nothing of it belongs to the repository."""

_PLACES = (
    "上海市", "北京市", "深圳市", "浙江省杭州市", "江苏省苏州市", "广州市", "成都市", "武汉市", "宁波市",
    "厦门市", "青岛市", "西安市",
)  # fmt: skip
_TRADES = (
    "贸易", "科技", "实业", "食品", "物流", "建设工程", "生物科技", "信息技术", "电子商务", "餐饮管理",
    "文化传播", "投资管理", "机械设备", "医药", "新能源科技", "供应链管理", "环保科技", "房地产开发",
    "服装", "化工",
)  # fmt: skip
_CN_FORMS = ("有限公司", "有限责任公司", "股份有限公司", "集团有限公司")
_SYLLABLES = (
    "ba", "co", "da", "el", "fi", "gar", "ho", "in", "jo", "ka", "lu", "mer", "na", "or", "pri", "qua",
    "ro", "sta", "tek", "un", "ver", "wil", "xen", "yor", "zan",
)  # fmt: skip
_WORDS = (
    "TRADING", "LOGISTICS", "INDUSTRIES", "TECHNOLOGY", "ENERGY", "MANAGEMENT", "INTERNATIONAL",
    "SERVICES", "ENGINEERING", "FOODS", "CAPITAL", "SYSTEMS", "SHIPPING", "PACKAGING", "CONSTRUCTION",
    "CONSULTING", "HOLDINGS", "MANUFACTURING", "SOLUTIONS", "PROPERTIES",
)  # fmt: skip
_FORMS = ("Ltd", "Limited", "GmbH", "Inc.", "LLC", "S.r.l.", "B.V.", "Co., Ltd.", "AB", "Pte. Ltd.")
_SHORT_WORDS = {
    "INTERNATIONAL": "INTL", "MANAGEMENT": "MGMT", "TECHNOLOGY": "TECH", "SERVICES": "SVCS",
    "MANUFACTURING": "MFG", "ENGINEERING": "ENGRG", "HOLDINGS": "HLDGS", "INDUSTRIES": "INDS",
    "INVESTMENT": "INVT", "LOGISTICS": "LGSTCS",
}  # fmt: skip

Maker = Callable[[str, np.random.Generator], str | None]


@dataclass(frozen=True)
class NameWorld:
    """Names in normal form.

    Attributes:
        names: originals and variants together, each once.
        pairs: a variant and its original, by the way in which it was made; both normal forms.
        same: how many variants the normal form alone made equal to their original, by way.
        made: how many variants were made, by way, the equal ones counted.
        real: whether the words are those of real companies.
    """

    names: list[str]
    pairs: dict[frozenset[str], str]
    same: dict[str, int]
    made: dict[str, int]
    real: bool


def chinese_world(size: int, variants: int, seed: int = 1) -> NameWorld:
    """Chinese full names around short names of real firms, and variants of some.

    Args:
        size: full names.
        variants: how many of them have one variant.
        seed: of the choices.
    """
    random = np.random.default_rng(seed)
    brands, real = _brands(random, size)
    full = [
        f"{_one(_PLACES, random)}{brand}{_one(_TRADES, random)}{_one(_CN_FORMS, random)}"
        for brand in brands[:size]
    ]
    return _world(full, variants, _CHINESE, random, real=real)


def latin_world(size: int, variants: int, seed: int = 1) -> NameWorld:
    """Names in Latin letters: legal names of the LEI register, or made-up ones, and variants of some.

    Args:
        size: names; all there are, if the register's sample has fewer.
        variants: how many of them have one variant.
        seed: of the choices.
    """
    random = np.random.default_rng(seed)
    path = DATA / "lei_entities" / "lei_sample.parquet"
    if path.exists():
        table = pq.read_table(path, columns=["legal_name", "category"]).to_pydict()
        known = [
            name
            for name, category in zip(table["legal_name"], table["category"], strict=True)
            if category == "GENERAL" and name.isascii()
        ]
        return _world(known[:size], variants, _LATIN, random, real=True)
    made = [
        f"{_made_up(random)} {_one(_WORDS, random)} {_one(_WORDS, random)} {_one(_FORMS, random)}"
        for _ in range(size)
    ]
    return _world(made, variants, _LATIN, random, real=False)


def _brands(random: np.random.Generator, size: int) -> tuple[list[str], bool]:
    path = DATA / "company_short_names_zh" / "company_short_names_zh.txt.gz"
    if path.exists():
        lines = gzip.decompress(path.read_bytes()).decode("utf-8-sig").split()
        known = [
            line for line in lines[2:] if 2 <= len(line) <= 5 and all("一" <= one <= "鿿" for one in line)
        ]
        return [known[at] for at in random.permutation(len(known))[:size]], True
    common = [chr(code) for code in range(0x4E00, 0x4E00 + 1200)]
    return ["".join(random.choice(common, 3)) for _ in range(size)], False


def _world(
    full: list[str], variants: int, makers: dict[str, Maker], random: np.random.Generator, *, real: bool
) -> NameWorld:
    names = dict.fromkeys(filter(None, map(company_form, full)))
    pairs: dict[frozenset[str], str] = {}
    same, made = dict.fromkeys(makers, 0), dict.fromkeys(makers, 0)
    ways = list(makers)
    for turn, at in enumerate(random.permutation(len(full))[:variants].tolist()):
        way = ways[turn % len(ways)]
        variant = makers[way](full[at], random)
        normal, original = company_form(variant or ""), company_form(full[at])
        if not normal or not original:
            continue
        made[way] += 1
        if normal == original:
            same[way] += 1
            continue
        names[normal] = None
        pairs[frozenset((normal, original))] = way
    return NameWorld(list(names), pairs, same, made, real)


def _one(choices: tuple[str, ...], random: np.random.Generator) -> str:
    return choices[int(random.integers(len(choices)))]


def _made_up(random: np.random.Generator) -> str:
    return "".join(_one(_SYLLABLES, random) for _ in range(3)).upper()


# Ways to write a Chinese name otherwise


def _cn_dressed(name: str, random: np.random.Generator) -> str:
    """Full width, a blank, another word for the same form."""
    swapped = (
        name.replace("有限责任公司", "有限公司")
        if "责任" in name
        else name.replace("有限公司", "有限责任公司")
    )
    return " ".join((swapped[:4], swapped[4:])).replace("股份有限责任公司", "股份有限公司")


def _cn_no_place(name: str, random: np.random.Generator) -> str | None:
    return next((name.removeprefix(place) for place in _PLACES if name.startswith(place)), None)


def _cn_place_behind(name: str, random: np.random.Generator) -> str | None:
    if "集团" in name:
        return None
    place = next(place for place in _PLACES if name.startswith(place))
    form = next(form for form in (*_CN_FORMS[2:], *_CN_FORMS[:2]) if name.endswith(form))
    city = place.removeprefix("浙江省").removeprefix("江苏省").removesuffix("市")
    return f"{name.removeprefix(place).removesuffix(form)}（{city}）{form}"


def _cn_mistake(name: str, random: np.random.Generator) -> str | None:
    """One character of the firm's own word or its trade is another one."""
    parsed = parse_company(name)
    core = parsed.core
    if len(core) < 5:
        return None
    at = int(random.integers(len(core)))
    other = chr(0x4E00 + int(random.integers(1200)))
    return parsed.place + core[:at] + other + core[at + 1 :] + parsed.form


def _cn_own_word(name: str, random: np.random.Generator) -> str | None:
    core = parse_company(name).core
    return next((core.removesuffix(trade) for trade in _trades() if core.endswith(trade)), None)


def _cn_place_and_word(name: str, random: np.random.Generator) -> str | None:
    word = _cn_own_word(name, random)
    return None if word is None else parse_company(name).place[-2:] + word


def _cn_characters(name: str, random: np.random.Generator) -> str | None:
    """First characters of place, word and trade."""
    parsed, word = parse_company(name), _cn_own_word(name, random)
    if word is None or not parsed.place:
        return None
    return parsed.place[0] + word[0] + parsed.core.removeprefix(word)[0]


def _trades() -> list[str]:
    return sorted([*_TRADES, *(f"{trade}集团" for trade in _TRADES)], key=len, reverse=True)


_CHINESE: dict[str, Maker] = {
    "dressed": _cn_dressed,
    "no place": _cn_no_place,
    "place behind": _cn_place_behind,
    "mistake": _cn_mistake,
    "own word": _cn_own_word,
    "place and word": _cn_place_and_word,
    "characters": _cn_characters,
}

# Ways to write a Latin name otherwise


def _dressed(name: str, random: np.random.Generator) -> str:
    """Capitals, other punctuation, the form in full or short."""
    text = name.upper().replace(".", "").replace(",", " ,")
    for one, other in (
        ("LIMITED", "LTD."),
        ("INCORPORATED", "INC"),
        ("CORPORATION", "CORP."),
        (" & ", " AND "),
    ):
        text = text.replace(one, other)
    return f"  {text} "


def _no_form(name: str, random: np.random.Generator) -> str | None:
    parsed = parse_company(name)
    return parsed.core if parsed.form else None


def _mistake(name: str, random: np.random.Generator) -> str | None:
    """A letter dropped, doubled, replaced or exchanged with its neighbour, in a longer word."""
    words = name.split()
    long = [at for at, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if not long:
        return None
    at = long[int(random.integers(len(long)))]
    word, place = words[at], int(random.integers(1, len(words[at]) - 1))
    letter = chr(ord("A") + int(random.integers(26)))
    choices = (
        word[:place] + word[place + 1 :],
        word[:place] + word[place] + word[place:],
        word[:place] + letter + word[place + 1 :],
        word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :],
    )
    words[at] = choices[int(random.integers(len(choices)))]
    return " ".join(words)


def _shortened(name: str, random: np.random.Generator) -> str | None:
    text = name.upper()
    for word, short in _SHORT_WORDS.items():
        if word in text.split():
            return text.replace(word, short)
    return None


def _order(name: str, random: np.random.Generator) -> str | None:
    parsed = parse_company(name)
    words = parsed.core.split()
    return None if len(words) < 3 else " ".join([*words[1:], words[0], parsed.form])


def _blanks(name: str, random: np.random.Generator) -> str | None:
    parsed = parse_company(name)
    words = parsed.core.split()
    return None if len(words) < 3 else " ".join([words[0] + words[1], *words[2:], parsed.form])


def _less(name: str, random: np.random.Generator) -> str | None:
    """The last word before the form is left out."""
    parsed = parse_company(name)
    words = parsed.core.split()
    return None if len(words) < 4 else " ".join([*words[:-1], parsed.form])


def _first_words(name: str, random: np.random.Generator) -> str | None:
    words = parse_company(name).core.split()
    return None if len(words) < 3 else " ".join(words[:2])


def _initials(name: str, random: np.random.Generator) -> str | None:
    words = [word for word in parse_company(name).core.split() if word not in ("AND", "OF", "THE", "FOR")]
    return None if len(words) < 3 else "".join(word[0] for word in words)


_LATIN: dict[str, Maker] = {
    "dressed": _dressed,
    "no form": _no_form,
    "mistake": _mistake,
    "shortened": _shortened,
    "order": _order,
    "blanks": _blanks,
    "less": _less,
    "first words": _first_words,
    "initials": _initials,
}
