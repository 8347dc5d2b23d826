"""Take the picture of the report that stands in the README, with a headless Chromium.

    .venv/bin/python scripts/make_screenshot.py demo/report.html docs/images/report.png

The picture shows the top of the page in English, 1280 pixels wide. Add ``--lang zh`` for the Chinese page.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTH, HEIGHT = 1280, 1010
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MAX_BYTES = 300_000
SECONDS = 60

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
"""The last one cuts the network: the report must look the same without it."""


def take(report: Path, picture: Path, lang: str) -> None:
    """Write the picture of a report.

    Args:
        report: the page, as the demonstration writes it.
        picture: the PNG file to write.
        lang: which language the page shows, ``en`` or ``zh``.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page = folder / "report.html"
        page.write_text(in_language(report.read_text(encoding="utf-8"), lang), encoding="utf-8")
        subprocess.run(
            [
                browser,
                *FLAGS,
                f"--user-data-dir={folder / 'profile'}",
                f"--window-size={WIDTH},{HEIGHT}",
                f"--screenshot={folder / 'picture.png'}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=SECONDS,
        )
        data = (folder / "picture.png").read_bytes()
    if len(data) > MAX_BYTES:
        sys.exit(f"the picture has {len(data)} bytes; at most {MAX_BYTES} are wanted")
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(data)


def in_language(html: str, lang: str) -> str:
    """The page with another language switched on: its two radio buttons need no script."""

    def switch(button: re.Match[str]) -> str:
        bare = button[0].replace(' checked="checked"', "")
        return bare.replace(">", ' checked="checked">') if f'id="show-{lang}"' in bare else bare

    return re.sub(r'<input type="radio"[^>]*>', switch, html)


def main() -> None:
    """Read the command line and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--lang", choices=("en", "zh"), default="en")
    given = parser.parse_args()
    take(given.report, given.picture, given.lang)
    sys.stdout.write(f"wrote {given.picture}, {given.picture.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
