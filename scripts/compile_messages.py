"""Compile every room's Chinese words: locale/zh/LC_MESSAGES/<room>.po to <room>.mo.

The result depends on the text alone, so that the committed files change only when words do.
"""

import sys
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALE = Path(__file__).resolve().parent.parent / "src" / "tongzhou" / "locale"


def compile_catalogue(source: Path, target: Path) -> int:
    """Compile one catalogue.

    Returns:
        How many sentences are translated.
    """
    with source.open("rb") as file:
        catalogue = read_po(file, locale=source.parent.parent.name)
    with target.open("wb") as file:
        write_mo(file, catalogue)
    return sum(1 for message in catalogue if message.id and message.string)


def main() -> None:
    """Compile all catalogues and say how many sentences each has."""
    for source in sorted(LOCALE.glob("*/LC_MESSAGES/*.po")):
        count = compile_catalogue(source, source.with_suffix(".mo"))
        sys.stdout.write(f"{source.relative_to(LOCALE)}: {count}\n")


if __name__ == "__main__":
    main()
