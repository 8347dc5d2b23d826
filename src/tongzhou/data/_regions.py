"""Divisions of China by GB/T 2260: today's by name, all that ever were by their first four digits."""

from collections import Counter
from functools import cache
from importlib import resources

__all__ = ["is_region", "place_names", "read_standard"]

_PROVINCE_ENDINGS = (
    "维吾尔自治区",
    "壮族自治区",
    "回族自治区",
    "自治区",
    "特别行政区",
    "省",
    "市",
)
# Cities whose short names are words that firms begin with: east, lighthouse, cooperation, inaction, health,
# long peace.
_NO_PLACES = frozenset({"东方", "灯塔", "合作", "无为", "安康", "长治"})


def read_standard(name: str) -> list[str]:
    """Lines of one of the bundled tables (see ``standards/ATTRIBUTION.md``)."""
    path = resources.files("tongzhou.data") / "standards" / name
    return path.read_text(encoding="utf-8").splitlines()


@cache
def _prefixes() -> frozenset[str]:
    return frozenset(line for line in read_standard("regions.txt") if " " not in line)


def is_region(code: str) -> bool:
    """Whether a code of six digits begins like that of a prefecture that exists or once existed.

    The county's own two digits are not looked at: counties are made and merged every year, and a list that
    is a year old would call new ones wrong.
    """
    return code[:4] in _prefixes()


@cache
def place_names() -> dict[str, str]:
    """Names that a company's name may begin with, each with what its normal form writes.

    The word for the kind of division is dropped from provinces and cities where that leaves no doubt, and the
    short form is a name too: 上海市 and 上海 are both 上海, while 吉林省 and 吉林市 stay apart. Counties and
    districts keep it.
    """
    divisions = [line.split(" ") for line in read_standard("regions.txt") if " " in line]
    stems = Counter(_stem(name) for code, name in divisions if _is_city(code, name))
    written = {}
    for code, name in divisions:
        stem = _stem(name)
        if _is_city(code, name) and stems[stem] == 1 and len(stem) > 1 and stem not in _NO_PLACES:
            written[name] = written[stem] = stem
        elif name not in written and len(name) > 2:
            written[name] = name
    return written


def _is_city(code: str, name: str) -> bool:
    return code.endswith("0000") or name.endswith("市")


def _stem(name: str) -> str:
    """A division's name without the word for its kind."""
    return next((name.removesuffix(end) for end in _PROVINCE_ENDINGS if name.endswith(end)), name)
