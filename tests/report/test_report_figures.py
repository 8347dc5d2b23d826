"""Figures survive JSON, and damaged ones are refused with a sentence."""

import json

import pytest

from tongzhou.errors import DataError
from tongzhou.report.figures import FIGURES_VERSION, from_json, to_json


def test_figures_come_back_equal(figures):
    assert from_json(to_json(figures)) == figures


def test_json_is_plain_and_stable(figures):
    text = to_json(figures)
    assert to_json(from_json(text)) == text
    assert json.loads(text)["gain"]["auc"] == {"value": 0.12, "low": 0.106, "high": 0.134}


def test_other_version_is_refused(figures):
    raw = json.loads(to_json(figures))
    raw["version"] = FIGURES_VERSION + 1
    with pytest.raises(DataError, match=r"figures have version 3; this program draws version 2"):
        from_json(json.dumps(raw).encode())


def _without(raw, *path):
    *way, last = path
    for key in way:
        raw = raw[key]
    del raw[last]


@pytest.mark.parametrize("path", [("run",), ("gain", "auc"), ("grant", "columns"), ("variables", 0, "iv")])
def test_missing_field_is_named(figures, path):
    raw = json.loads(to_json(figures))
    _without(raw, *path)
    with pytest.raises(DataError, match=rf"figures cannot be read: .*`{path[-1]}`"):
        from_json(json.dumps(raw).encode())


def test_unknown_field_is_refused(figures):
    raw = json.loads(to_json(figures))
    raw["gain"]["luck"] = 1
    with pytest.raises(DataError, match=r"unknown field `luck` - at `\$\.gain`"):
        from_json(json.dumps(raw).encode())


def test_wrong_type_is_refused(figures):
    raw = json.loads(to_json(figures))
    raw["matching"]["matched_rows"] = "many"
    with pytest.raises(DataError, match=r"Expected `int`, got `str` - at `\$\.matching\.matched_rows`"):
        from_json(json.dumps(raw).encode())


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b'{"version": 1'])
def test_rubbish_is_refused(text):
    with pytest.raises(DataError, match="the report's figures cannot be read"):
        from_json(text)
