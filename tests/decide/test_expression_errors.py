"""Text that is no condition: one sentence with line and column, whatever is typed."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tongzhou.decide import parse_condition
from tongzhou.decide._tokens import MAX_LENGTH
from tongzhou.decide.expression import FUNCTIONS, KEYWORDS, MAX_DEPTH
from tongzhou.errors import PlanError

TYPES = {
    "age": "number", "limit": "number", "kind": "text", "flags": "texts", "ok": "boolean",
    "born": "date", "clock": "time",
}  # fmt: skip

ERRORS = [
    ("", 1, "the expression is empty"),
    ("   ", 1, "the expression is empty"),
    ("age", 1, "the whole expression must be boolean, got number"),
    ("age >", 6, "a value must stand here, got the end"),
    ("age > 3 4", 9, "an operator, and, or, or the end must stand here, got 4"),
    ("age > 3 and", 12, "a value must stand here, got the end"),
    ("(age > 3", 9, ") must follow what was opened with (, got the end"),
    ("age > 3)", 8, "an operator, and, or, or the end must stand here, got )"),
    ("18 < age < 70", 10, "comparisons do not chain; write x between a and b, or join two"),
    ("age = 3 = 4", 9, "comparisons do not chain"),
    ("agee > 3", 1, "there is no input agee (did you mean age?); inputs are declared in strategy.toml"),
    ("zzz > 3", 1, "there is no input zzz; inputs are declared"),
    ("age > 'x'", 7, "the right side of > must be number, got text"),
    ("kind > 'x'", 1, "the left side of > must be number, date or time, got text"),
    ("kind = 3", 8, "the right side of = must be text, got number"),
    ("flags = flags", 7, "a list is not compared; write a text before in and the list after"),
    ("age and ok", 1, "each side of and must be boolean, got number"),
    ("not age", 5, "what follows not must be boolean, got number"),
    ("not kind = 'x' or age", 19, "each side of or must be boolean, got number"),
    ("-ok = 3", 2, "what follows - must be number, got boolean"),
    ("ok + 1 > 2", 1, "what stands before + and - must be number or date, got boolean"),
    ("age + ok > 2", 7, "what follows + must be number, got boolean"),
    ("born + born > born", 8, "what follows + must be number, got date"),
    ("age * kind > 2", 7, "each side of * and / must be number, got text"),
    ("age in 3", 8, "a list in [ ] or the name of a list must follow in, got 3"),
    ("age in []", 9, "a list holds numbers, texts, dates and times only"),
    ("age in [1, limit]", 12, "a list holds numbers, texts, dates and times only"),
    ("age in [1, -'x']", 12, "a list holds numbers, texts, dates and times only"),
    ("age in [1 2]", 11, "] must follow the list, got 2"),
    ("age in [1, 'x']", 12, "each value of the list must be number, got text"),
    ("age in flags", 1, "what stands before in must be text, got number"),
    ("kind in age", 9, "the name after in must be texts, got number"),
    ("age between 3", 14, "and must follow the lower end of between, got the end"),
    ("age between 9 and 3", 5, "between can never hold here: its lower end is above its upper end"),
    ("age between 'x' and 3", 13, "the lower end of between must be number, got text"),
    ("age between 3 and 'x'", 19, "the upper end of between must be number, got text"),
    ("kind between 'a' and 'b'", 1, "the left side of between must be number, date or time, got text"),
    ("age is", 7, "missing or not missing must follow is, got the end"),
    ("age is 3", 8, "missing or not missing must follow is, got 3"),
    ("age not 3", 9, "in or between must follow not here, got 3"),
    ("rond(age) = 3", 1, "there is no function rond (did you mean round?)"),
    ("eval('x') = 3", 1, "there is no function eval"),
    ("abs() = 3", 1, "abs takes 1 arguments, got 0"),
    ("abs(age, 1) = 3", 1, "abs takes 1 arguments, got 2"),
    ("round(1, 2, 3) = 3", 1, "round takes 1 to 2 arguments, got 3"),
    ("abs(kind) = 3", 5, "each argument of abs must be number, got text"),
    ("min(age, born) = 3", 10, "each argument of min must be number, got date"),
    ("min(kind, kind) = 'x'", 5, "each argument of min must be number, date or time, got text"),
    ("round(age, 11) = 3", 12, "the digits of round are written as a whole number, 0 to 10"),
    ("round(age, limit) = 3", 12, "the digits of round are written as a whole number, 0 to 10"),
    ("abs(age = 3", 12, ") must follow the arguments, got the end"),
    ("born > date('2026-02-30')", 13, "date takes a text such as \"2026-01-31\", got 2026-02-30"),
    ("born > date(2026)", 13, 'date takes a text such as "2026-01-31", got 2026'),
    ("clock > time('24:00')", 14, 'time takes a text such as "23:30", got 24:00'),
    ("clock > time('noon')", 14, 'time takes a text such as "23:30", got noon'),
    ("clock > time('12:00' 3", 22, ") must follow time and its text, got 3"),
    ("born > '2026-01-31'", 8, "the right side of > must be date, got text"),
    ("kind = 'x", 8, "a text begins here and is not closed by '"),
    ("kind = 'a\\n'", 8, "a text begins here and is not closed by '"),
    ("age > 12abc", 7, "12a is neither a number nor a name; a name begins with a letter"),
    ("age > 1.2.3", 7, "1.2. is neither a number nor a name"),
    ("age > 1e99", 7, "a number has at most 15 significant digits and is at most 1e15, got 1e99"),
    ("age > 1e999999", 7, "a number has at most 15 significant digits"),
    ("age > 1234567890123456", 7, "a number has at most 15 significant digits"),
    ("age > 0.1234567890123456", 7, "a number has at most 15 significant digits"),
    ("age > ٣", 7, "the character ٣ has no meaning here"),
    ("（age > 3）", 1, "the character （ has no meaning here (write ( instead)"),
    ("age > 3 && ok", 9, "the character & has no meaning here (write and instead)"),
    ("age > 3; ok", 8, "the character ; has no meaning here (write , instead)"),
    ("age > 3 \x00", 9, "the character <U+0000> has no meaning here"),
    ("age > 3 #", 9, "the character # has no meaning here"),
    ("flags.x = 3", 6, "the character . has no meaning here"),
    ("age > 3 AND ok", 9, "an operator, and, or, or the end must stand here, got AND (write and instead)"),
    ("and", 1, "a value must stand here, got and"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "column", "sentence"), ERRORS, ids=[case[0][:30] for case in ERRORS])
def test_each_error_says_what_and_where(text: str, column: int, sentence: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_condition(text, TYPES, file="rules.toml")
    assert str(caught.value).startswith(f"rules.toml, line 1, column {column}: {sentence}")


def test_line_and_column_in_a_condition_of_several_lines() -> None:
    with pytest.raises(PlanError, match=r"^expression, line 3, column 6: there is no input limmit"):
        parse_condition("age > 3\nand ok\n and limmit > 3", TYPES)


def test_length_is_bounded() -> None:
    fits = " or ".join(["ok"] * ((MAX_LENGTH + 4) // 6))
    assert len(fits) <= MAX_LENGTH
    assert parse_condition(fits, TYPES).inputs == ("ok",)
    with pytest.raises(PlanError, match=r"an expression may have at most 2000 characters, got 2001$"):
        parse_condition("ok".ljust(MAX_LENGTH + 1), TYPES)


@pytest.mark.parametrize(
    ("opening", "inside", "closing"),
    [("(", "ok", ")"), ("not ", "ok", ""), ("-", "age", " > 3"), ("abs(", "age", ")")],
)
def test_depth_is_bounded(opening: str, inside: str, closing: str) -> None:
    def nested(levels: int) -> str:
        ends = closing if closing == " > 3" else closing * levels
        return opening * levels + inside + ends + (" > 3" if opening == "abs(" else "")

    parse_condition(nested(MAX_DEPTH), TYPES)
    with pytest.raises(PlanError, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse_condition(nested(MAX_DEPTH + 1), TYPES)
    with pytest.raises(PlanError, match=f"nested deeper than {MAX_DEPTH} levels|at most 2000 characters"):
        parse_condition(nested(480), TYPES)


def test_long_chains_are_flat_and_cost_no_depth() -> None:
    assert parse_condition("+".join(["1"] * 900) + " > 1", TYPES).compile({})([]) is True
    assert parse_condition(" and ".join(["true"] * 200), TYPES).compile({})([]) is True


def _reads_or_says_why(text: str) -> bool:
    """Parses, or says a sentence with a place inside the text; anything else fails."""
    try:
        value = parse_condition(text, TYPES).compile({name: slot for slot, name in enumerate(TYPES)})
    except PlanError as error:
        line, column = error.values["line"], error.values["column"]
        assert str(error).startswith(f"expression, line {line}, column {column}: ")
        lines = text.split("\n")
        assert isinstance(line, int)
        assert isinstance(column, int)
        assert 1 <= line <= len(lines)
        assert 1 <= column <= len(lines[line - 1]) + 1
        assert str(error).isprintable() or any(not c.isprintable() for c in text)
        assert len(str(error)) < 400
        return True
    else:
        assert value([None] * len(TYPES)) in {True, False, None}
        assert value([1, 2, "x", ("x",), True, 700_000, 3600]) in {True, False, None}
        return True


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=200))
@example("\ud800")
@example("1" * 1999)
@example("'" * 1999)
@example("not " * 499)
@example("\\" * 1999)
def test_any_text_is_a_condition_or_a_sentence(text: str) -> None:
    assert _reads_or_says_why(text)


WORDS = [
    *KEYWORDS, *FUNCTIONS, *TYPES, *"()[],+-*/<>=", "<=", "!=", "≥", "0", "1.5", "1e15", "'x'", '"y"',
    "date('2026-01-31')", "time('01:00')", "\n", "date", "time", "（",
]  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_any_words_of_the_language_are_a_condition_or_a_sentence(words: list[str]) -> None:
    assert _reads_or_says_why(" ".join(words))
