"""Measurements of Tongzhou beside others: ``python -m bench NAME --json FILE``. See docs/benchmarks.md."""
