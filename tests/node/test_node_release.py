"""A release from a table and its settings: roles, order of rows, the check by a stranger, files and log."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tongzhou.errors import DataError, PlanError, VerificationError
from tongzhou.node import release as module
from tongzhou.node.home import Home
from tongzhou.node.release import make_release, release_key, write_release
from tongzhou.node.release_figures import release_figures
from tongzhou.node.release_settings import parse_release
from tongzhou.report.release_figures import release_from_json, release_to_json

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
KEY = bytes(range(32))
ROWS = 400
SETTINGS = """
[release]
name = "overdue"
k = 5
method = "{method}"
{more}
plain = ["product"]
[identifiers]
id = "{identifier}"
name = "drop"
[quasi.age]
kind = "number"
widths = [10, 20, 40]
[quasi.region]
kind = "prefix"
keep = [2]
[quasi.sex]
kind = "category"
[sensitive.late]
kind = "number"
distinct = 2
t = 0.5
distance = "ordered"
[sensitive.cause]
kind = "category"
entropy = 1.2
recursive_c = 20
recursive_l = 2
"""


def settings(method="mondrian", identifier="pseudonym", more=""):
    return parse_release(SETTINGS.format(method=method, identifier=identifier, more=more), "s.toml")


def table(seed=1):
    random = np.random.default_rng(seed)
    ages = random.integers(20, 70, ROWS).astype(float)
    ages[:3] = np.nan
    return pa.table(
        {
            "id": [f"c{row:04}" for row in range(ROWS)],
            "name": ["secret"] * ROWS,
            "age": pa.array(ages, from_pandas=True),
            "region": random.choice(["3101", "3102", "4403", "4401"], ROWS).tolist(),
            "sex": random.choice(["f", "m"], ROWS).tolist(),
            "late": random.integers(0, 5, ROWS),
            "cause": random.choice(["job", "ill", "other"], ROWS).tolist(),
            "product": random.choice(["card", "loan"], ROWS).tolist(),
            "note": ["x"] * ROWS,
        }
    )


def made(method="mondrian", identifier="pseudonym", more="", source=None):
    return make_release(
        table() if source is None else source, settings(method, identifier, more), lambda: KEY
    )


@pytest.mark.parametrize(("method", "more"), [("mondrian", ""), ("full-domain", "suppression = 0.1")])
def test_every_column_gets_what_its_role_says(method, more):
    release = made(method, more=more)
    assert release.published.column_names == ["id", "age", "region", "sex", "late", "cause", "product"]
    assert release.published.schema.field("age").type == pa.string()
    assert release.published.schema.field("late").type == table().schema.field("late").type
    assert "secret" not in str(release.published.to_pydict())
    assert all(len(name) == 32 for name in release.published.column("id").to_pylist())
    assert release.published.num_rows == ROWS - release.classes.suppressed


def test_the_published_table_satisfies_the_conditions_by_dictionaries():
    release = made()
    rows = release.published.to_pylist()
    classes = {}
    for row in rows:
        classes.setdefault((row["age"], row["region"], row["sex"]), []).append(row)
    assert min(map(len, classes.values())) == release.reached[0].reached >= 5
    assert min(len({row["late"] for row in own}) for own in classes.values()) >= 2
    assert [(one.column, one.kind, one.tail) for one in release.reached] == [
        ("", "k", None),
        ("late", "distinct", None),
        ("late", "ordered", None),
        ("cause", "entropy", None),
        ("cause", "recursive", 2),
    ]
    assert release.reached[2].reached <= 0.5


@pytest.mark.parametrize("identifier", ["pseudonym", "drop"])
@pytest.mark.parametrize("method", ["mondrian", "full-domain"])
def test_the_order_of_the_source_does_not_get_through(identifier, method):
    """Any order of the source gives the same file, and rows are in the order of what they show."""
    source = table()
    order = np.random.default_rng(7).permutation(ROWS)
    first, second = (made(method, identifier, source=one).published for one in (source, source.take(order)))
    assert first.equals(second)
    keys = [(name, "ascending") for name in first.column_names]
    assert first.sort_by(keys).equals(first)


def test_missing_values_are_published_as_such_or_covered():
    ages = set(made(identifier="drop").published.column("age").to_pylist())
    assert any("missing" in age or age == "*" for age in ages)


def test_numbers_may_be_judged_in_steps():
    text = SETTINGS.format(method="mondrian", identifier="drop", more="").replace(
        "distinct = 2", "distinct = 2\nstep = 5"
    )
    with pytest.raises(DataError, match="the whole table in one class breaks the conditions on late"):
        make_release(table(), parse_release(text, "s.toml"), lambda: KEY)


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        (lambda t: t.drop_columns(["age"]), DataError, "there is no column age"),
        (
            lambda t: t.rename_columns({"late": "lat"}),
            DataError,
            r"there is no column late; did you mean lat\?",
        ),
        (lambda t: t.slice(0, 0), DataError, "the table must have rows to be published"),
        (lambda t: t.slice(0, 4), DataError, "a class needs 5 rows, and the whole table has 4"),
        (
            lambda t: t.set_column(2, "age", pa.array(["old"] * ROWS)),
            DataError,
            "age",
        ),
    ],
)
def test_what_does_not_fit_is_a_sentence(change, kind, sentence):
    with pytest.raises(kind, match=sentence):
        made(source=change(table()))


def test_levels_that_lack_a_value_are_a_sentence():
    text = SETTINGS.format(method="mondrian", identifier="drop", more="").replace(
        '[quasi.sex]\nkind = "category"', '[quasi.sex]\nkind = "category"\nlevels = { f = ["any"] }'
    )
    with pytest.raises(PlanError, match="sex: 1 of its values have no place in the levels"):
        make_release(table(), parse_release(text, "s.toml"), lambda: KEY)


def test_a_table_that_would_break_a_condition_is_never_published(monkeypatch):
    """If the method were wrong, the check of the published table would say so."""
    real = module.mondrian

    def careless(request):
        found = real(request)
        of = found.of.copy()
        of[np.flatnonzero(of == of[0])[1:]] = of[of != of[0]][0]
        return type(found)(of, found.low, found.high)

    monkeypatch.setattr(module, "mondrian", careless)
    with pytest.raises(
        VerificationError, match="would break a condition of release overdue; nothing was published"
    ):
        made()


def test_the_key_is_asked_for_only_where_there_are_pseudonyms(tmp_path):
    def never():
        raise AssertionError("no pseudonyms were asked for")

    assert make_release(table(), settings(identifier="drop"), never).published.num_rows == ROWS
    with Home.create(tmp_path / "bank", "bank", "Bank", "h:1") as home:
        assert not (home.keys / "pseudonyms.key").exists()
        made_ = make_release(table(), settings(), release_key(home))
        assert (home.keys / "pseudonyms.key").exists()
        again = make_release(table(), settings(), release_key(home))
    assert made_.published.equals(again.published)


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_release_is_written_and_noted(tmp_path, name):
    with Home.create(tmp_path / "bank", "bank", "Bank", "h:1") as home:
        release = made()
        digest = write_release(home, release, tmp_path / name, now=NOW)
        (entry,) = home.log.entries()
    read = (
        pq.read_table(tmp_path / name) if name.endswith("parquet") else pyarrow.csv.read_csv(tmp_path / name)
    )
    assert read.num_rows == ROWS
    assert read.column_names == release.published.column_names
    assert entry.kind == "release-made"
    assert entry.record["digest"] == digest
    assert (entry.record["rows"], entry.record["k"], entry.record["name"]) == (ROWS, 5, "overdue")


@pytest.mark.parametrize(
    ("method", "more"), [("mondrian", "population = 100000"), ("full-domain", "suppression = 0.1")]
)
def test_figures_tell_what_was_done(method, more):
    release = made(method, more=more)
    figures = release_figures(release, digest="d" * 64, now=NOW)
    assert release_from_json(release_to_json(figures)) == figures
    assert (figures.source_rows, figures.published_rows, figures.scope) == (
        ROWS,
        release.published.num_rows,
        "overdue",
    )
    assert figures.after.smallest >= 5 > figures.before.smallest
    assert figures.after.prosecutor.highest <= 0.2
    assert sum(band.before for band in figures.bands) == pytest.approx(1)
    assert sum(band.after for band in figures.bands) == pytest.approx(1)
    assert sum(band.after for band in figures.bands if band.low < 5) == 0
    by_name = {column.name: column for column in figures.columns}
    assert by_name["note"].role == "dropped"
    assert (by_name["name"].treatment, by_name["id"].treatment) == ("dropped", "pseudonym")
    assert by_name["id"].values_after == release.published.num_rows
    assert (by_name["age"].level is None) == (method == "mondrian")
    assert {one.column for one in figures.sensitive} == {"late", "cause"}
    for one in figures.sensitive:
        assert sum(one.overall) == pytest.approx(1)
        assert sum(one.farthest) == pytest.approx(1)
    assert figures.queries.error == sorted(figures.queries.error)
    if figures.population:
        assert figures.after.marketer < figures.after.prosecutor.mean


def test_many_values_of_a_sensitive_column_are_shown_as_the_most_frequent_and_the_rest():
    source = table()
    source = source.set_column(5, "late", pa.array(range(ROWS)))
    release = made(identifier="drop", source=source)
    shown = next(
        one for one in release_figures(release, digest="", now=NOW).sensitive if one.column == "late"
    )
    assert len(shown.values) == 9
    assert shown.values[-1] == ""
    assert shown.overall[-1] == pytest.approx(1 - 8 / ROWS)
