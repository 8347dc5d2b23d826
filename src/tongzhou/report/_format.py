"""How numbers are written: the same in both languages, with a true minus sign and thin grouping."""

from tongzhou.report.figures import Interval, Words

__all__ = [
    "LEVEL",
    "bytes_text",
    "count",
    "decimals",
    "instant",
    "interval",
    "money",
    "percent",
    "seconds",
    "signed",
    "tiny",
]

LEVEL = "95 %"
"""Level of all intervals; a value and not part of a sentence, for gettext reads a percent sign as its own."""

_MINUS = "\u2212"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def decimals(value: float, places: int = 3) -> str:
    """Return a number with fixed places."""
    text = f"{abs(value):.{places}f}"
    return (_MINUS if value < 0 and float(text) != 0 else "") + text


def signed(value: float, places: int = 3) -> str:
    """Return a number with its sign, also when positive."""
    text = decimals(value, places)
    return text if text.startswith(_MINUS) or float(text) == 0 else "+" + text


def count(value: int) -> str:
    """Return a whole number with commas."""
    return (_MINUS if value < 0 else "") + f"{abs(value):,}"


def percent(fraction: float, places: int = 1) -> str:
    """Return a fraction as percent."""
    return decimals(100 * fraction, places) + "%"


def tiny(value: float) -> str:
    """Return a small difference with two figures and a power of ten."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    raised = str(int(exponent)).translate(_SUPERSCRIPT)
    return f"{mantissa.replace('-', _MINUS)} × 10{raised}"


def interval(figure: Interval, places: int = 3) -> str:
    """Return the bounds of an interval."""
    return f"{decimals(figure.low, places)} – {decimals(figure.high, places)}"


def seconds(value: float) -> str:
    """Return a duration, precise where it is short."""
    if value < 0.0995:
        return f"{1000 * value:.1f} ms" if value < 0.00995 else f"{1000 * value:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 119.5:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def bytes_text(value: int) -> str:
    """Return an amount of data in decimal units."""
    if value < 1000:
        return f"{value} B"
    amount = float(value)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.5 or unit == "GB":
            break
    return f"{amount:.1f} {unit}" if amount < 99.95 else f"{amount:.0f} {unit}"


def money(value: float, currency: str) -> Words:
    """Return money as each language groups it: millions in English, ten thousands in Chinese."""
    sign = _MINUS if value < 0 else ""
    size = abs(value)
    en = f"{size / 1e6:,.1f} M" if size >= 1e6 else f"{size:,.0f}"
    zh = (
        f"{size / 1e8:,.2f} 亿" if size >= 1e8 else f"{size / 1e4:,.0f} 万" if size >= 1e5 else f"{size:,.0f}"
    )
    return Words(f"{sign}{currency} {en}", f"{sign}{currency} {zh}")


def instant(text: str) -> str:
    """Return an ISO 8601 instant as people read it, a day where it is midnight; other text stays as it is."""
    if len(text) >= 16 and text[10:11] == "T":
        zone = " UTC" if text.endswith(("Z", "+00:00")) else ""
        clock = "" if text[11:16] == "00:00" else f" {text[11:16]}"
        return f"{text[:10]}{clock}{zone}"
    return text
