"""What the report's tests share: the sample figures, and the page drawn once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from report_sample import sample_figures

from tongzhou.report.figures import Figures
from tongzhou.report.page import render


@pytest.fixture(scope="session")
def figures() -> Figures:
    return sample_figures()


@pytest.fixture(scope="session")
def html(figures: Figures) -> str:
    return render(figures)
