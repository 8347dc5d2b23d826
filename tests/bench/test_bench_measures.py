"""Repeats are put together truly, and a subject that fails is skipped with its reason."""

import sys

import numpy as np
import pytest

from bench import machine, measures

PYTHON = sys.executable


def sample(cpu_s: float) -> dict:
    return {"cpu_s": cpu_s, "wall_s": 2 * cpu_s, "rss_mb": 10.0, "bytes": 7, "who": {"asker": cpu_s}}


def test_medians_with_least_and_most() -> None:
    found = measures.summary([sample(1.0), sample(9.0), sample(2.0)])
    assert (found["cpu_s"], found["wall_s"], found["bytes"]) == (2.0, 4.0, 7)
    assert found["spread"]["cpu_s"] == [1.0, 9.0]
    assert found["repeats"] == 3


def test_what_is_no_number_comes_from_the_last_repeat() -> None:
    found = measures.summary([sample(1.0), sample(5.0)])
    assert found["who"] == {"asker": 5.0}
    assert "who" not in found["spread"]


def test_six_digits_are_kept() -> None:
    assert measures.rounded(123456789.123) == 123457000.0
    assert measures.rounded(0.000123456789) == 0.000123457
    assert measures.rounded(1234567) == 1234567


def test_a_ratio_needs_both_subjects() -> None:
    assert measures.ratio(sample(3.0), sample(2.0), "cpu_s") == 1.5
    assert measures.ratio(sample(3.0), None, "cpu_s") is None
    assert measures.ratio({"skipped": "no"}, sample(2.0), "cpu_s") is None
    assert measures.ratio(sample(3.0), {"cpu_s": 0.0}, "cpu_s") is None


def test_every_repeat_is_made_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([3.0, 1.0, 2.0])
    assert measures.bounded("ours", 3, lambda: sample(next(times)))["cpu_s"] == 2.0
    shown = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0].strip() for line in shown] == [f"ours, {turn} of 3" for turn in (1, 2, 3)]


def test_a_subject_that_fails_is_skipped_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    turns = iter([1, 0])

    def fails_at_the_second() -> dict:
        if next(turns):
            return sample(1.0)
        raise measures.BenchError("the asker failed: no room")

    assert measures.bounded("ours", 3, fails_at_the_second) == {"skipped": "the asker failed: no room"}
    assert "ours is skipped: the asker failed: no room" in capsys.readouterr().err


def test_a_fault_of_our_own_is_not_taken_for_a_slow_subject() -> None:
    def broken() -> dict:
        raise KeyError("cpu_s")

    with pytest.raises(KeyError):
        measures.bounded("ours", 1, broken)


def test_a_process_answers_in_json() -> None:
    assert measures.run_json([PYTHON, "-c", "print('{\"cpu_s\": 1}')"], timeout_s=20) == {"cpu_s": 1}


@pytest.mark.parametrize(
    ("code", "timeout_s", "sentence"),
    [
        ("import sys; sys.exit('no such file')", 20, "failed: no such file"),
        ("print('hello')", 20, "printed no JSON"),
        ("import time; time.sleep(30)", 0.2, "took longer than 0 s"),
    ],
)
def test_a_process_that_fails_is_a_sentence(code: str, timeout_s: float, sentence: str) -> None:
    with pytest.raises(measures.BenchError, match=sentence):
        measures.run_json([PYTHON, "-c", code], timeout_s=timeout_s)


def test_variables_reach_the_process() -> None:
    code = "import json, os; print(json.dumps({'threads': os.environ['OPENBLAS_NUM_THREADS']}))"
    assert measures.run_json(
        [PYTHON, "-c", code], timeout_s=20, environment={"OPENBLAS_NUM_THREADS": "3"}
    ) == {"threads": "3"}


def test_peak_memory_is_of_this_process_alone() -> None:
    """A child of a large process starts small again."""
    held = np.ones(25_000_000)
    assert measures.peak_rss_mb() > held.nbytes / 1e6
    code = "import json; from bench.measures import peak_rss_mb; print(json.dumps({'mb': peak_rss_mb()}))"
    assert measures.run_json([PYTHON, "-c", code], timeout_s=20)["mb"] < held.nbytes / 1e6


def test_the_machine_says_what_it_is() -> None:
    found = machine.describe()
    assert set(found) == {"processor", "cores", "memory_gb", "system", "python", "load_at_start"}
    assert found["processor"]
    assert found["cores"] >= 1
    text = machine.line(found)
    assert all(str(value) in text for value in found.values())
