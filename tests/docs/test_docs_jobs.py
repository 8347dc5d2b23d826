"""The page on jobs: its plans are good, its table is that of the code, and each job has an example."""

import re
from pathlib import Path

from tongzhou.node.plan import parse_plan
from tongzhou.node.plan_jobs import JOB_RULES

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text("utf-8")


def test_every_plan_on_the_page_is_good_and_each_job_has_one() -> None:
    plans = [parse_plan(text, "jobs.md") for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]
    assert {plan.job for plan in plans} | {"scorecard"} == set(JOB_RULES)


def test_the_table_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| ([^|]*) \| ([^|]*) \|$", PAGE, re.MULTILINE)[1:]
    told = {job: [re.findall(r"`(\w+)`", cell) for cell in cells] for job, *cells in rows}
    assert told == {job: [list(rules.modes), list(rules.protocols)] for job, rules in JOB_RULES.items()}
