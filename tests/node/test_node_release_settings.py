"""Settings of a published table: read strictly, every fault one sentence with its place."""

import pytest

from tongzhou.errors import NotFoundError, PlanError
from tongzhou.node.release_settings import load_release, parse_release, release_digest

GOOD = """
[release]
name = "r"
k = 5
plain = ["branch"]
[identifiers]
id = "pseudonym"
[quasi.age]
kind = "number"
widths = [5, 10]
[quasi.region]
kind = "category"
levels = { a = ["x"], b = ["x"] }
[quasi.post]
kind = "prefix"
keep = [3]
[sensitive.late]
kind = "number"
t = 0.2
distance = "ordered"
"""


def test_good_settings_are_read_with_defaults():
    settings = parse_release(GOOD, "s.toml")
    assert (settings.release.method, settings.release.suppression, settings.scope) == ("mondrian", 0.0, "r")
    assert settings.quasi["age"].widths == (5.0, 10.0)
    assert settings.quasi["region"].levels == {"a": ("x",), "b": ("x",)}
    assert settings.roles() == {
        "id": "identifier", "age": "quasi", "region": "quasi", "post": "quasi", "late": "sensitive",
        "branch": "plain",
    }  # fmt: skip
    assert parse_release(GOOD.replace("k = 5", 'k = 5\nscope = "s"'), "s.toml").scope == "s"


def test_equal_settings_have_one_digest_however_they_are_laid_out():
    other = GOOD.replace('kind = "number"\nwidths = [5, 10]', "widths = [5.0, 10.0]\nkind='number'")
    assert release_digest(parse_release(GOOD, "a")) == release_digest(parse_release(other, "b"))
    assert release_digest(parse_release(GOOD.replace("k = 5", "k = 6"), "a")) != release_digest(
        parse_release(GOOD, "a")
    )


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("k = 5", "k = 1", r"s.toml:4: release.k must be from 2 to 1000000, got 1"),
        ("k = 5", "", r"release.k is missing"),
        ("k = 5", "k = 5\nmethd = 1", r"unknown key release.methd; did you mean release.method\?"),
        ("k = 5", "k = 5\nsuppression = 0.1", r's.toml:5: method "mondrian" leaves no rows out'),
        ('"pseudonym"', '"hash"', r"identifiers.id must be one of drop, pseudonym"),
        ('["branch"]', '["age"]', r"column age is named under quasi and under plain; a column has one role"),
        ("[quasi.age]", "[quasi.id]", r"column id is named under identifiers and under quasi"),
        (
            'kind = "number"\nwidths',
            'kind = "category"\nwidths',
            r"widths goes with kind number, and this column has kind",
        ),
        ("keep = [3]", "widths = [3]", r"widths goes with kind number, and this column has kind prefix"),
        ("t = 0.2", "t = 0.2\nrecursive_c = 3", r"recursive_c and recursive_l go together"),
        ("t = 0.2", "t = 2", r"sensitive.late.t must be from 0.0 to 1.0, got 2"),
        ('"ordered"', '"hierarchy"', r'distance "hierarchy" needs levels'),
        (
            'kind = "number"\nt',
            'kind = "category"\nt',
            r'distance "ordered" needs the kind "number", or the values',
        ),
        (
            "t = 0.2",
            't = 0.2\norder = ["a"]',
            r"order goes with kind category, and this column has kind number",
        ),
        ("[release]", "[release", r"not valid TOML"),
    ],
)
def test_a_fault_is_one_sentence_with_its_place(old, new, sentence):
    assert old in GOOD
    with pytest.raises(PlanError, match=sentence):
        parse_release(GOOD.replace(old, new, 1), "s.toml")


def test_without_quasi_identifiers_there_is_nothing_to_generalise():
    with pytest.raises(PlanError, match="quasi is missing"):
        parse_release('[release]\nname = "r"\nk = 2\n', "s.toml")
    with pytest.raises(PlanError, match="name at least one column under quasi"):
        parse_release('[release]\nname = "r"\nk = 2\n[quasi]\n', "s.toml")


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(NotFoundError, match="there is no file"):
        load_release(tmp_path / "none.toml")
    (tmp_path / "s.toml").write_bytes(b"[release]\n\xff")
    with pytest.raises(PlanError, match="settings are UTF-8 text; byte 10 is not"):
        load_release(tmp_path / "s.toml")
    (tmp_path / "s.toml").write_text("\ufeff" + GOOD.replace("\n", "\r\n"), encoding="utf-8")
    assert load_release(tmp_path / "s.toml") == parse_release(GOOD, "x")
