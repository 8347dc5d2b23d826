"""The measurement of publishing runs in small and tells what it measured."""

import json
from pathlib import Path

import pytest
from test_bench_run import check_record

from bench import __main__ as command
from bench import anonymise


def test_anonymise_in_small(tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    assert command.main(["anonymise", "--quick", "--json", str(target)]) == 0
    record = json.loads(target.read_text(encoding="utf-8"))
    check_record(record, "anonymise")
    assert None not in record["figures"].values()
    for subject in record["subjects"].values():
        assert subject["smallest"] >= 10
        assert subject["suppressed"] <= 0.02 * subject["rows"]
        assert 0 < subject["penalty"] <= 1


def test_figures_of_anonymise() -> None:
    found = anonymise.figures(
        {
            "tongzhou mondrian 100k": {"rows": 100_000, "cpu_s": 0.5},
            "tongzhou mondrian 1m": {"rows": 1_000_000, "cpu_s": 4.0},
            "tongzhou mondrian t 1m": {"skipped": "too long"},
            "tongzhou full domain 27k": {"penalty": 0.2, "entropy": 0.3, "query_median": 0.1},
        }
    )
    assert found["mondrian_growth_1m_vs_100k"] == pytest.approx(0.8)
    assert (found["mondrian_1m_cpu_s"], found["mondrian_t_1m_cpu_s"]) == (4.0, None)
    assert (found["full_domain_penalty"], found["mondrian_penalty"]) == (0.2, None)


def test_drawn_rows_are_no_copies_and_the_example_is_itself() -> None:
    whole = anonymise._request(27_000, "k", suppression=0.0)
    assert (whole.rows, whole.quasi[0].size) == (27_000, 56)
    drawn = anonymise._request(60_000, "k", suppression=0.0)
    assert drawn.quasi[1].size > whole.quasi[1].size
