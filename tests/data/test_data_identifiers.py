"""Normal forms of identifiers. Vectors name their source; numbers without one are made up."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tongzhou.data.identifiers import KINDS, check_identifiers, normalise
from tongzhou.errors import DataError

NORMAL_FORMS = [
    ("text", "tw-0001234", "TW-0001234"),
    ("text", "  TW-0001234\t", "TW-0001234"),
    ("text", "ＴＷ－０００１２３４", "TW-0001234"),
    ("text", "Wang   Fang", "WANG FANG"),
    ("text", "\ufeffA\u200b1", "A1"),
    ("text", "Straße", "STRASSE"),
    ("text", "STRAẞE", "STRASSE"),
    ("text", "上海\u3000银行", "上海 银行"),
    ("text", 42, "42"),
    ("phone", "00ab", "00AB"),
    ("phone", "A\u00b4", "\u00c1"),  # the accent's own blank goes, and what is left composes
    ("number", "007", "7"),
    ("number", "１２ ３", "123"),
    ("number", 0, "0"),
    ("number", "000", "0"),
    ("phone", "138-0013-8000", "13800138000"),
    ("phone", "+86 138 0013 8000", "13800138000"),
    ("phone", "0086(138)00138000", "13800138000"),
    ("phone", "8613800138000", "13800138000"),
    ("phone", 13800138000, "13800138000"),
    ("phone", "(021) 6234-5678", "02162345678"),
    ("phone", "+44 20 7946 0000", "+442079460000"),
    ("phone", "0044 20 7946 0000", "+442079460000"),
    ("id-card-cn", "11010519491231002x", "11010519491231002X"),  # the example of GB 11643-1999 itself
    ("id-card-cn", "110105 19491231 002X", "11010519491231002X"),
    ("id-card-cn", "110105491231002", "11010519491231002X"),  # the same person before 1999
    ("uscc", "9111 0000 6000 3734 1l", "91110000600037341L"),  # from the public register of companies
]


@pytest.mark.parametrize(("kind", "value", "expected"), NORMAL_FORMS)
def test_normal_forms(kind, value, expected):
    assert normalise([value], kind) == [expected]


@given(value=st.text(max_size=20), kind=st.sampled_from([kind for kind in KINDS if kind != "number"]))
@example(value="A\u00b4", kind="phone")
def test_normalising_twice_is_normalising_once(value, kind):
    try:
        once = normalise([value], kind)
    except DataError as error:
        assert "must have an identifier" in str(error)
    else:
        assert normalise(once, kind) == once


@given(
    value=st.text(st.sampled_from("+0１23 86-()xX9\u200b"), min_size=1, max_size=20),
    kind=st.sampled_from(KINDS),
)
def test_normalising_twice_is_once_for_what_looks_like_numbers(value, kind):
    try:
        once = normalise([value], kind)
    except DataError:
        return
    assert normalise(once, kind) == once


@given(value=st.text(max_size=12))
def test_capitals_and_blanks_around_never_tell_two_apart(value):
    forms = []
    for variant in (value, f" {value}\n", value.casefold()):
        try:
            forms.append(normalise([variant], "text"))
        except DataError:
            forms.append(None)
    assert forms[0] == forms[1]
    assert forms[0] == forms[2]


@pytest.mark.parametrize(
    ("values", "kind", "sentence"),
    [
        (["a", None], "text", "row 2: must have an identifier of kind text, got none"),
        (["a", " \u200b"], "text", "row 2: must have an identifier of kind text, got none"),
        (["--"], "phone", "row 1: must have an identifier of kind phone, got none"),
        (
            ["12", "1a2"],
            "number",
            "row 2: an identifier of kind number must be digits only, got other .* of length 3",
        ),
        (["x"], "idcard", r"got idcard; did you mean id-card-cn\?"),
        (
            ["x"],
            "zzz",
            "kind of identifier must be one of text, number, phone, id-card-cn, uscc, org-code-cn, lei, "
            "company, got zzz$",
        ),
    ],
)
def test_what_has_no_normal_form_is_a_sentence(values, kind, sentence):
    with pytest.raises(DataError, match=sentence):
        normalise(values, kind)


def rules(values, kind):
    return {
        finding.rule: (finding.severity, finding.row, finding.rows)
        for finding in check_identifiers(values, kind, "id")
    }


def test_sound_numbers_have_no_findings():
    assert rules(["11010519491231002X", "110105491231001"], "id-card-cn") == {}
    assert rules(["91110000600037341L"], "uscc") == {}
    assert rules(["13800138000", "+442079460000"], "phone") == {}
    assert rules(["1", "2"], "number") == {}


def test_flaws_are_warnings_with_the_first_row():
    assert rules(["11010519491231002X", "110105194912310021", "short"], "id-card-cn") == {
        "identifier-form": ("warning", 3, 1),
        "identifier-check-digit": ("warning", 2, 1),
    }
    assert rules(["91110000600037341L", "911100006000373410", "91110000600037341I"], "uscc") == {
        "identifier-form": ("warning", 3, 1),
        "identifier-check-digit": ("warning", 2, 1),
    }
    assert rules(["abc", "12"], "number") == {"identifier-form": ("warning", 1, 1)}
    assert rules(["13800138000", "call me"], "phone") == {"identifier-form": ("warning", 2, 1)}


def test_missing_and_repeated_are_errors_in_normal_form():
    assert rules(["a", None, "", "A", " a"], "text") == {
        "identifier-missing": ("error", 2, 2),
        "identifier-duplicated": ("error", 4, 2),
    }
    assert rules(["110105491231002", "11010519491231002X"], "id-card-cn") == {
        "identifier-duplicated": ("error", 2, 1)
    }


SOUND = {
    "id-card-cn": ("11010519491231002X", "0123456789"),
    "uscc": ("91110000600037341L", "0123456789ABCDEFGH"),
}


@pytest.mark.parametrize("kind", SOUND)
def test_every_single_wrong_character_is_found(kind):
    """Both check characters are made to catch any one wrong character (ISO 7064, GB 32100)."""
    sound, characters = SOUND[kind]
    for place in range(17):
        for character in characters:
            if character != sound[place]:
                wrong = sound[:place] + character + sound[place + 1 :]
                assert rules([wrong], kind) == {"identifier-check-digit": ("warning", 1, 1)}


@given(body=st.text(st.sampled_from("0123456789"), min_size=17, max_size=17))
def test_exactly_one_check_digit_fits_a_citizen_number(body):
    """Against the recursive form of ISO 7064 MOD 11-2, another way to the same digit."""
    remainder = 0
    for digit in body:
        remainder = (remainder + int(digit)) * 2 % 11
    expected = "0123456789X"[(12 - remainder) % 11]
    fitting = [
        digit
        for digit in "0123456789X"
        if "identifier-check-digit" not in rules([body + digit], "id-card-cn")
    ]
    assert fitting == [expected]


def test_a_finding_does_not_show_the_identifier():
    for finding in check_identifiers(["11010519491231002X"] * 2 + ["secret"], "id-card-cn", "id"):
        assert "1101" not in finding.sentence
        assert "ecret" not in finding.sentence
