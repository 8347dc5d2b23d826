"""Run the demonstration and keep what it shows for the documents.

    .venv/bin/python scripts/record_demo.py

Writes docs/demo-output.txt, docs/demo-figures.json and, where a Chromium is found, both pictures.
The folder of the run is written as ``/home/you/tongzhou/demo``. Afterwards bring the numbers in README.md and
README.zh.md up to date: a test names each row that is stale.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SHOWN_AS = "/home/you/tongzhou/demo"
PICTURES = {"en": "report.png", "zh": "report.zh.png"}


def main() -> None:
    """Run, neutralise paths, write."""
    with tempfile.TemporaryDirectory() as place:
        folder, figures = Path(place) / "demo", DOCS / "demo-figures.json"
        command = [str(ROOT / ".venv/bin/tongzhou"), "demo", "--folder", str(folder), "--json", str(figures)]
        environment = {**os.environ, "TONGZHOU_LANG": "en"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        printed = done.stdout.replace(str(folder), SHOWN_AS).replace(f"{ROOT}/", "").lstrip("\n")
        (DOCS / "demo-output.txt").write_text(printed, encoding="utf-8")
        figures.write_text(figures.read_text(encoding="utf-8").rstrip("\n") + "\n", encoding="utf-8")
        for lang, name in PICTURES.items():
            picture = ["scripts/make_screenshot.py", str(folder / "report.html"), str(DOCS / "images" / name)]
            subprocess.run([sys.executable, *picture, "--lang", lang], check=False, cwd=ROOT)


if __name__ == "__main__":
    main()
