"""The core stays small: what a plain install brings is counted file by file."""

from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LIMIT_MB = 300


def _needs(found: Distribution) -> set[str]:
    """Names that a distribution needs here, extras left out."""
    wanted = [Requirement(text) for text in found.requires or []]
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return {canonicalize_name(one.name) for one in needed}


def core() -> dict[str, Distribution]:
    """Everything that ``pip install tongzhou`` brings, by name."""
    found: dict[str, Distribution] = {}
    waiting = {"tongzhou"}
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            waiting |= _needs(found[name])
    return found


def _megabytes(found: Distribution) -> float:
    paths = (Path(str(file.locate())) for file in found.files or [])
    return sum(path.stat().st_size for path in paths if path.is_file()) / 2**20


def test_a_plain_install_stays_below_the_limit() -> None:
    sizes = {name: _megabytes(found) for name, found in core().items()}
    assert sizes["numpy"] > 20, "files are counted"
    assert sum(sizes.values()) < LIMIT_MB, sizes


def test_the_core_depends_on_few_packages() -> None:
    assert len(_needs(distribution("tongzhou"))) <= 6


def test_drawing_and_comparing_are_no_part_of_the_core() -> None:
    assert not {"altair", "vl-convert-python", "scikit-learn", "scipy"} & set(core())
