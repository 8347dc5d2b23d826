"""The functions of the language: one table, which the checker, the compiler and the manual all read."""

from dataclasses import dataclass

__all__ = ["FUNCTIONS", "MAX_ROUND_DIGITS", "Signature"]

# Digits that round() may be asked for; inputs themselves have at most fifteen significant ones.
MAX_ROUND_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives.

    Attributes:
        takes: types of the arguments; ``"same"`` stands for any one type that all such arguments share.
        gives: type of the result, or ``"same"``.
        least: fewest arguments.
        most: most arguments; the last type of `takes` repeats.
        among: the types that ``"same"`` may be.
        meaning: one line for the manual.
    """

    takes: tuple[str, ...]
    gives: str
    least: int
    most: int
    among: tuple[str, ...] = ()
    meaning: str = ""


_ORDERED = ("number", "date", "time")
_ALL = ("number", "text", "boolean", "date", "time", "texts")

FUNCTIONS = {
    "abs": Signature(("number",), "number", 1, 1, meaning="the number without its sign"),
    "count": Signature(("texts",), "number", 1, 1, meaning="how many texts a list holds"),
    "days_between": Signature(
        ("date",),
        "number",
        2,
        2,
        meaning="days from the first date to the second; negative when it is earlier",
    ),
    "hour": Signature(("time",), "number", 1, 1, meaning="the hour of a time of day, 0 to 23"),
    "if_missing": Signature(
        ("same",), "same", 2, 2, _ALL, meaning="the first value, or the second when the first is missing"
    ),
    "max": Signature(("same",), "same", 2, 20, _ORDERED, meaning="the largest; missing when any is missing"),
    "min": Signature(("same",), "same", 2, 20, _ORDERED, meaning="the smallest; missing when any is missing"),
    "months_between": Signature(
        ("date",), "number", 2, 2, meaning="whole months from the first date to the second"
    ),
    "round": Signature(
        ("number", "number"),
        "number",
        1,
        2,
        meaning="rounded half away from zero, to whole numbers or to the written count of digits",
    ),
    "years_between": Signature(
        ("date",),
        "number",
        2,
        2,
        meaning="whole years from the first date to the second, as an age is counted",
    ),
}
