"""Reading a strategy's files: every mistake is a sentence that points at file, line and column."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategy_texts import HEAD, declare, rule, strategy_files

from tongzhou.decide import Strategy, example_strategy
from tongzhou.decide._toml import MAX_FILE_BYTES, read_toml
from tongzhou.errors import (
    DataError,
    NotFoundError,
    PlanError,
    StorageError,
    TongzhouError,
    VerificationError,
)
from tongzhou.risk.binning import Bins
from tongzhou.risk.scorecard import CardInput, build_scorecard, to_json

AGE = declare("age", "number", minimum="0", maximum="150")
SCORE = '[score]\nsource = "input"\n'
CUTOFF = "[cutoff]\napprove_from = 600\nreview_from = 560\n"
CARD = to_json(
    build_scorecard("card", [CardInput(Bins("age", edges=(30.0,)), (0.5, -0.5, 0.0), 1.0)], -1.0)
).encode()


def load(files: dict[str, bytes]) -> Strategy:
    return Strategy.from_files(files, where="here")


def test_example_is_complete() -> None:
    strategy = example_strategy()
    assert [found.id for found in strategy.admission] == ["A01-age", "A02-limit"]
    assert {found.grade for found in strategy.rules} == {"advisory", "restrictive", "prohibitive"}
    assert strategy.cutoff is not None
    assert strategy.cutoff.review_from < strategy.cutoff.approve_from
    assert strategy.words["repay_1"].zh == "2005 年 9 月还款状态"
    assert {"score", "score_reasons"} <= {item.name for item in strategy.inputs}


HEAD_ERRORS = [
    ("", "strategy.toml, line 1, column 1: format is missing"),
    (HEAD.replace("format = 1", "format = 2"), "strategy.toml, line 1, column 10: format must be 1, got 2"),
    (
        HEAD.replace("format = 1", 'format = "1"'),
        "line 1, column 10: format must be a whole number, got a text",
    ),
    (
        HEAD.replace("format = 1", "format = true"),
        "column 10: format must be a whole number, got true or false",
    ),
    (HEAD.replace("name =", "nam ="), "line 1, column 1: name is missing; nam is written here"),
    (HEAD.replace('"test"', '"te/st"'), "line 2, column 8: name must be 1 to 64 letters, digits, points"),
    (HEAD.replace('"1"', '".."'), "line 3, column 11: version must be 1 to 64 letters, digits, points"),
    (HEAD.replace('"1"', '""'), "line 3, column 11: version must be 1 to 64 letters"),
    (HEAD.replace('zh = "测试"', 'zh = " "'), "line 4, column 29: zh must not be empty"),
    (HEAD.replace(', zh = "测试"', ""), "line 4, column 9: zh is missing"),
    (HEAD.replace("title = {", 'title = "x" #'), "line 4, column 9: title must be a section, got a text"),
    (HEAD + 'langage = "en"\n', "line 5, column 11: unknown key langage (did you mean language?)"),
    (HEAD + 'language = "fr"\n', "line 5, column 12: language must be one of en, zh, got fr"),
    (HEAD + 'extra_inputs = "refse"\n', "must be one of refuse, ignore, got refse (did you mean refuse?)"),
    (
        HEAD + "[grades]\nadvisory = 'decline'\n",
        "line 6, column 12: advisory may not be stricter than restrictive",
    ),
    (
        HEAD + "[grades]\nadvisry = 'review'\n",
        "line 6, column 11: unknown key advisry (did you mean advisory?)",
    ),
    (
        HEAD + "[missing]\nrules = 'hits'\n",
        "line 6, column 9: rules must be one of skip, review, hit, got hits",
    ),
    (
        HEAD + "[inputs.x]\ntype = 'int'\n",
        "line 6, column 8: type must be one of number, text, boolean, date",
    ),
    (HEAD + "[inputs.x]\n", "line 5, column 1: type is missing"),
    (HEAD + "[inputs]\nx = 3\n", "line 6, column 5: x must be a section, got a whole number"),
    (HEAD + "inputs = 3\n", "line 5, column 10: inputs must be a section, got a whole number"),
    (HEAD + declare("in", "number"), "line 5, column 1: an input's name must be a word"),
    (HEAD + declare("round", "number"), "line 5, column 1: an input's name must be a word"),
    (HEAD + declare("score", "number"), "line 5, column 1: an input's name must be a word"),
    (HEAD + '[inputs."a b"]\n', "line 5, column 1: an input's name must be a word"),
    (HEAD + declare("x", "text", minimum="3"), "line 8, column 11: minimum is for the type number, got text"),
    (
        HEAD + declare("x", "number", allowed="['a']"),
        "line 8, column 11: allowed is for the types text and texts",
    ),
    (
        HEAD + declare("x", "text", allowed="[1]"),
        "line 8, column 11: allowed must be a list of texts, got a list",
    ),
    (HEAD + declare("x", "number", minimum="2", maximum="1"), "maximum must not be below minimum"),
    (HEAD + declare("x", "number", minimum="1e16"), "minimum must be from -1e15 to 1e15"),
    (HEAD + declare("x", "number", maximum="nan"), "maximum must be from -1e15 to 1e15"),
    (
        HEAD + declare("x", "number", missing='"drop"'),
        "missing must be one of refuse, review, allow, got drop",
    ),
    (HEAD + CUTOFF, "line 5, column 1: cut-offs need a section score that says where the score comes from"),
    (HEAD + SCORE, "line 5, column 1: a strategy with a score needs a section cutoff"),
    (
        HEAD + SCORE.replace("input", "inpt") + CUTOFF,
        "source must be one of input, card, got inpt (did you mean",
    ),
    (HEAD + SCORE + "reasons = 21\n" + CUTOFF, "line 7, column 11: reasons must be from 0 to 20, got 21"),
    (
        HEAD + SCORE + CUTOFF.replace("560", "601"),
        "review_from must not be above approve_from (600.0), got 601.0",
    ),
    (
        HEAD + SCORE + CUTOFF.replace("560", "inf"),
        "line 9, column 15: review_from must be from -1e15 to 1e15",
    ),
    (
        HEAD + SCORE + CUTOFF.replace("560", "'x'"),
        "line 9, column 15: review_from must be a number, got a text",
    ),
    (HEAD + SCORE + CUTOFF.replace("560", "2026-01-31"), "review_from must be a number, got date"),
    (HEAD + SCORE + 'card = "card.json"\n' + CUTOFF, "line 7, column 8: there is no file card.json"),
    (HEAD + "name = 3\n", "line 5, column 9: not valid TOML: Cannot overwrite a value"),
    (HEAD + "x = [1,\n", "not valid TOML: "),
    (HEAD + "x = " + "[" * 60, "brackets are nested deeper than 50 levels"),
    (HEAD + "x = '''", "not valid TOML: "),
]


@pytest.mark.parametrize(("text", "sentence"), HEAD_ERRORS, ids=[case[1][:60] for case in HEAD_ERRORS])
def test_mistakes_in_strategy_toml(text: str, sentence: str) -> None:
    with pytest.raises(PlanError) as caught:
        load({"strategy.toml": text.encode()})
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("strategy.toml, line ")


RULE_ERRORS = [
    (rule("a", "agee > 3"), "rules.toml, line 3, column 11: there is no input agee (did you mean age?)"),
    (rule("a", "age > 3").replace("when", "wen"), "line 1, column 1: when is missing; wen is written here"),
    (
        rule("a", "age > 3", grade="fatal"),
        "grade must be one of advisory, restrictive, prohibitive, got fatal",
    ),
    (rule("a b", "age > 3"), "line 2, column 6: id must be 1 to 64 letters"),
    (rule("a", "age > 3", missing="drop"), "missing must be one of skip, review, hit, got drop"),
    (rule("a", "age > 3", weight="1"), "line 6, column 10: unknown key weight"),
    (
        rule("a", "age > 3") + rule("a", "age > 4"),
        "line 6, column 1: the id a is used twice, first in rules.toml",
    ),
    (
        rule("a", "age > 3").replace("'''age > 3'''", "3"),
        "line 3, column 8: when must be a text, got a whole",
    ),
    (rule("a", "age > 3").replace("rules]]", "rule]]"), "unknown key rule (did you mean rules?)"),
    ("rules = 3", "line 1, column 9: rules must be sections, got a whole number"),
    ("rules = [3]", "line 1, column 9: rules must be sections, got a list"),
    (rule("a", "age > 3").replace("words = {", "words = 3 #"), "words must be a section, got a whole number"),
    (rule("a", "score > 3"), "there is no input score"),
]


@pytest.mark.parametrize(("text", "sentence"), RULE_ERRORS, ids=[case[1][:60] for case in RULE_ERRORS])
def test_mistakes_in_rules_toml(text: str, sentence: str) -> None:
    with pytest.raises(PlanError) as caught:
        load(strategy_files(AGE, rules=text))
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("rules.toml, line ")


def test_an_id_is_unique_across_files() -> None:
    files = strategy_files(AGE, rules=rule("a", "age > 3"), admission=rule("a", "age > 3", grade=None))
    with pytest.raises(
        PlanError, match=r"^rules.toml, line 1, column 1: the id a is used twice, first in admission"
    ):
        load(files)


def test_admission_cannot_read_the_score_because_it_comes_first() -> None:
    files = strategy_files(
        AGE, head=SCORE + CUTOFF, rules=rule("r", "score < 3"), admission=rule("a", "score > 3", grade=None)
    )
    with pytest.raises(PlanError, match=r"^admission.toml, line 3, column 14: there is no input score"):
        load(files)


def test_a_text_that_an_input_can_never_be_is_found() -> None:
    kinds = declare("kind", "text", allowed='["car", "boat"]') + declare("flags", "texts", allowed='["bad"]')
    ok = load(strategy_files(kinds, rules=rule("a", "kind = 'car' or 'bad' in flags")))
    assert ok.rules[0].condition.inputs == ("kind", "flags")
    for text, sentence in [
        ("kind = 'boot'", r"column 18: kind is never boot \(did you mean boat\?\); it may be car, boat"),
        ("'boot' != kind", "column 11: kind is never boot"),
        ("kind in ['car', 'boot']", "column 27: kind is never boot"),
        ("'baad' in flags", "column 11: flags is never baad"),
    ]:
        with pytest.raises(PlanError, match=sentence):
            load(strategy_files(kinds, rules=rule("a", text)))


POSITIONS = [
    ('when = "age > 3 and agee > 3"', 3, 21),
    ("when = 'age > 3 and agee > 3'", 3, 21),
    ('when = "\\u0061ge > 3 and \\"x\\" = \'x\' and agee > 3"', 3, 42),
    ('when = """\nage > 3\n  and agee > 3"""', 5, 7),
    ('when = """age > 3 \\\n   and agee > 3"""', 4, 8),
    ("when = '''\n\nage > 3 and\nagee > 3'''", 6, 1),
    ('"when" = "agee > 3"', 3, 11),
    ('when="agee > 3" # note', 3, 7),
]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(("line", "at_line", "column"), POSITIONS)
def test_place_in_a_condition_however_it_is_quoted(line: str, at_line: int, column: int, ends: str) -> None:
    text = f'[[rules]]\nid = "a"\n{line}\ngrade = "advisory"\nwords = {{ en = "e", zh = "z" }}\n'
    with pytest.raises(PlanError) as caught:
        load(strategy_files(AGE, rules=text.replace("\n", ends)))
    assert str(caught.value).startswith(
        f"rules.toml, line {at_line}, column {column}: there is no input agee"
    )


def test_a_mark_of_byte_order_is_no_mistake() -> None:
    files = strategy_files(AGE)
    assert load({"strategy.toml": b"\xef\xbb\xbf" + files["strategy.toml"]}).name == "test"


def test_other_encodings_and_sizes() -> None:
    with pytest.raises(PlanError, match=r"^strategy.toml, line 4, column 30: the file must be UTF-8 text"):
        load({"strategy.toml": HEAD.encode("gb18030")})
    with pytest.raises(PlanError, match=rf"^strategy.toml must be at most {MAX_FILE_BYTES} bytes, got "):
        load({"strategy.toml": HEAD.encode() + b"#" * MAX_FILE_BYTES})


def test_a_misspelt_file_is_refused_because_its_rules_would_be_off() -> None:
    files = strategy_files(AGE) | {"rule.toml": b""}
    with pytest.raises(
        PlanError, match=r"^here holds the file rule.toml, which is no part of a strategy \(did you mean"
    ):
        load(files)


def test_words_of_reasons() -> None:
    files = strategy_files(AGE) | {"words.toml": '[reasons.x]\nen = "e"\nzh = "中"\n'.encode()}
    assert load(files).words["x"].zh == "中"
    with pytest.raises(PlanError, match=r"^words.toml, line 1, column 1: zh is missing"):
        load(files | {"words.toml": b'[reasons.x]\nen = "e"\n'})
    with pytest.raises(
        PlanError, match=r"^words.toml, line 1, column 1: unknown key reason \(did you mean reasons"
    ):
        load(files | {"words.toml": b'[reason.x]\nen = "e"\n'})


def test_files_are_bounded() -> None:
    inputs = "".join(f"[inputs.x{i}]\n" for i in range(1001))
    with pytest.raises(PlanError, match=r"^strategy.toml, line 5, column 1: at most 1000 inputs, got 1001$"):
        load({"strategy.toml": (HEAD + inputs).encode()})
    rules = "".join(rule(f"r{i}", "age > 3") for i in range(2001))
    with pytest.raises(
        PlanError, match=r"^rules.toml, line 1, column 1: at most 2000 rules in a file, got 2001$"
    ):
        load(strategy_files(AGE, rules=rules))
    fits = strategy_files(AGE, rules=rules.removesuffix(rule("r2000", "age > 3")))
    assert len(load(fits).rules) == 2000


# -- the card


def card_files(card: bytes = CARD, name: str = "card.json") -> dict[str, bytes]:
    head = f'[score]\nsource = "card"\ncard = "{name}"\n' + CUTOFF
    return strategy_files(AGE, head=head) | {"card.json": card}


def test_a_card_is_read_and_its_inputs_are_checked() -> None:
    strategy = load(card_files())
    assert strategy.score.card is not None
    assert strategy.score.card.inputs == ["age"]
    files = card_files()
    files["strategy.toml"] = files["strategy.toml"].replace(b"inputs.age", b"inputs.agee")
    with pytest.raises(
        PlanError, match=r"must declare the input age of type number: the card card reads it \(did you"
    ):
        load(files)
    files["strategy.toml"] = card_files()["strategy.toml"].replace(b'type = "number"', b'type = "date"')
    files["strategy.toml"] = files["strategy.toml"].replace(b"minimum = 0\nmaximum = 150\n", b"")
    with pytest.raises(
        PlanError, match=r"must declare the input age of type number: the card card reads it$"
    ):
        load(files)


def test_a_card_that_is_none() -> None:
    with pytest.raises(DataError, match=r"^card.json: the scorecard file is not JSON: "):
        load(card_files(b"{"))
    with pytest.raises(DataError, match=r"^card.json: the scorecard file does not fit: "):
        load(card_files(b"{}"))
    with pytest.raises(
        PlanError, match=r"line 7, column 8: there is no file crad.json \(did you mean card.json\?\)"
    ):
        load(card_files(name="crad.json"))
    with pytest.raises(PlanError, match=r"card must name a .json file, got rules.toml"):
        load(card_files(name="rules.toml"))


# -- folders, digest, revisions


def test_folder_is_read_and_notes_in_it_are_left_alone(tmp_path: Path) -> None:
    for name, raw in strategy_files(AGE, rules=rule("a", "age > 3")).items():
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / "pictures").mkdir()
    strategy = Strategy.load(tmp_path)
    assert sorted(strategy.files) == ["rules.toml", "strategy.toml"]
    assert strategy.rules[0].line == 1


def test_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"^there is no strategy folder "):
        Strategy.load(tmp_path / "x")
    with pytest.raises(NotFoundError, match=r"holds no strategy\.toml, so it is not a strategy$"):
        Strategy.load(tmp_path)
    with pytest.raises(NotFoundError, match=r"^here holds no strategy\.toml"):
        load({})
    (tmp_path / "strategy.toml").mkdir()
    with pytest.raises(StorageError, match="cannot be read: Is a directory"):
        Strategy.load(tmp_path)


def test_digest_is_what_the_shell_computes() -> None:
    files = strategy_files(AGE, rules=rule("a", "age > 3"))
    lines = "".join(
        f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in ("rules.toml", "strategy.toml")
    )
    assert load(files).digest == hashlib.sha256(lines.encode()).hexdigest()


def test_digest_file_must_agree() -> None:
    files = strategy_files(AGE)
    digest = load(files).digest
    assert load(files | {"digest.txt": f"{digest}\n".encode()}).digest == digest
    with pytest.raises(
        VerificationError, match=r"^here was changed after it was published: its files give the digest"
    ):
        load(files | {"digest.txt": b"0" * 64})
    with pytest.raises(VerificationError, match=r"digest\.txt says "):
        load(files | {"digest.txt": b"\xff\n"})


def test_revision_changes_what_was_asked_and_nothing_else() -> None:
    strategy = example_strategy()
    revised = strategy.revise(version="1.0.1", approve_from=550.5, review_from=500)
    assert revised.cutoff is not None
    assert (revised.cutoff.approve_from, revised.cutoff.review_from) == (550.5, 500)
    assert revised.version == "1.0.1"
    before = strategy.files["strategy.toml"].decode().splitlines()
    after = revised.files["strategy.toml"].decode().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new for _, new in changed] == ['version = "1.0.1"', "approve_from = 550.5", "review_from = 500"]
    assert {n: f for n, f in revised.files.items() if n != "strategy.toml"} == {
        n: f for n, f in strategy.files.items() if n != "strategy.toml"
    }


def test_revision_of_the_card() -> None:
    strategy = load(card_files())
    other = msgspec.structs.replace(strategy.score.card, version="2")
    assert strategy.revise(version="2", card=other).score.card == other


def test_a_revision_may_lay_a_card_beside_a_given_score() -> None:
    card = load(card_files()).score.card
    revised = example_strategy().revise(version="2", card=card, approve_from=550)
    assert revised.score.card == card
    assert revised.score.computing is None
    assert '[score]\ncard = "card.json"\nsource' in revised.files["strategy.toml"].decode()
    assert revised.revise(version="3", card=card).files["card.json"] == CARD
    head = 'score = { source = "input" }\ncutoff.approve_from = 1\ncutoff.review_from = 1\n'
    for files in (strategy_files(AGE, head=head), strategy_files(AGE)):
        with pytest.raises(
            PlanError, match=r"^strategy\.toml has no section \[score\] that could name a card$"
        ):
            load(files).revise(version="2", card=card)


def test_revision_that_cannot_be() -> None:
    with pytest.raises(PlanError, match=r"^a revision needs a version other than 1\.0\.0$"):
        example_strategy().revise(version="1.0.0")
    with pytest.raises(
        PlanError, match=r"^strategy\.toml has no cutoff\.approve_from that could be changed$"
    ):
        load(strategy_files(AGE)).revise(version="2", approve_from=3)
    with pytest.raises(PlanError, match="version must be 1 to 64 letters"):
        example_strategy().revise(version='"\nx = "')


# -- anything at all

EXAMPLE = dict(example_strategy().files)


def _reads_or_says_why(files: dict[str, bytes]) -> bool:
    try:
        return load(files).digest != ""
    except TongzhouError as error:
        return 20 < len(str(error)) < 500


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(EXAMPLE)), st.binary(max_size=300))
def test_any_bytes_are_a_strategy_or_a_sentence(name: str, raw: bytes) -> None:
    assert _reads_or_says_why(EXAMPLE | {name: raw})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["strategy.toml", "rules.toml"]), st.data())
def test_a_damaged_file_is_a_strategy_or_a_sentence(name: str, data: st.DataObject) -> None:
    raw = EXAMPLE[name]
    at = data.draw(st.integers(0, len(raw) - 1))
    length = data.draw(st.integers(0, 12))
    put = data.draw(
        st.one_of(
            st.sampled_from([b"", b"[", b'"', b"'''", b"=", b"\n", b"{", b"0", b"\\"]), st.binary(max_size=6)
        )
    )
    assert _reads_or_says_why(EXAMPLE | {name: raw[:at] + put + raw[at + length :]})


TABLES = st.recursive(
    st.one_of(st.integers(-5, 5), st.booleans(), st.text("ab\n\"'\\[]{}#=中", max_size=5), st.just(1.5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text('ab." ', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), TABLES, max_size=4))
def test_every_value_has_its_place(data: dict[str, object]) -> None:
    text = "".join(f"{key} = {_inline(value)} # note\n" for key, value in data.items())
    document = read_toml(text.encode(), "x.toml")
    assert document.data == data

    def visit(path: tuple[str | int, ...], value: object) -> None:
        if path and not isinstance(value, dict):
            start, end = document.spans[path]
            assert 0 <= start < end <= len(document.text)
            if isinstance(value, int):
                assert document.text[start:end].strip() == str(value).lower()
        items = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, inner in items:
            visit((*path, key), inner)

    visit((), document.data)


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return (
            "{ "
            + ", ".join(f"{msgspec.json.encode(k).decode()} = {_inline(v)}" for k, v in value.items())
            + " }"
        )
    if isinstance(value, list):
        return "[\n  " + ", # [\n  ".join(map(_inline, value)) + "\n]"
    return msgspec.json.encode(value).decode()


def test_every_way_of_writing_a_table_has_its_place() -> None:
    text = """
a.b = 1
"q r".'s' = 2
[x.y]
z = [ 1, # [
  [2, 3], ]
w = { k = '4', l.m = 5 }
[[t]]
u = 6
[t.v]
n = 7
[[t]]
u = 8
[[t.inner]]
o = \"\"\"nine\"\"\"
"""
    document = read_toml(text.encode(), "x.toml")
    written = {path: document.text[slice(*span)] for path, span in document.spans.items()}
    expected = {
        ("a", "b"): "1", ("q r", "s"): "2", ("x", "y", "z", 0): "1", ("x", "y", "z", 1, 1): "3",
        ("x", "y", "w", "k"): "'4'", ("x", "y", "w", "l", "m"): "5",
        ("t", 0, "u"): "6", ("t", 0, "v", "n"): "7",
        ("t", 1, "u"): "8", ("t", 1, "inner", 0, "o"): '\"\"\"nine\"\"\"', ("x", "y"): "[x.y]",
        ("t", 1): "[[t]]",
    }  # fmt: skip
    assert {path: written[path].strip() for path in expected} == expected
