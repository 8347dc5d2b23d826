"""The page of methods runs as written and names what the code names."""

import re
from pathlib import Path

from tongzhou.risk import _fine, _woe

PAGE = Path(__file__).parents[2] / "docs" / "risk-methods.md"


def test_the_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    exec(compile(code, str(PAGE), "exec"), {})
    labels, score, quality = capsys.readouterr().out.splitlines()
    assert labels.startswith("['≤ ")
    assert re.match(r"\d{3} limit: ", score)
    assert 0.6 < float(quality) < 0.9


def test_constants_on_the_page_are_those_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    assert "½ added" in text
    assert _woe.SMOOTHING == 0.5
    assert "At most 32 (by default)" in text
    assert _fine.fine_bins.__kwdefaults__["limit"] == 32
