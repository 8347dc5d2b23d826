"""The settings of a published table: who is protected how, read strictly from one TOML file."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from tongzhou.errors import PlanError
from tongzhou.node._strict import Place, convert, parse_toml
from tongzhou.node.files import read_file

__all__ = [
    "RELEASE_DOCUMENT",
    "QuasiColumn",
    "ReleaseHead",
    "ReleaseSettings",
    "SensitiveColumn",
    "load_release",
    "parse_release",
    "release_digest",
]

_BYTES_MAX = 4 << 20
_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_Column = Annotated[str, Meta(min_length=1, max_length=200)]
_Value = Annotated[str, Meta(min_length=1, max_length=500)]
_Levels = dict[str, Annotated[tuple[_Value, ...], Meta(min_length=1, max_length=16)]]


class ReleaseHead(Struct, frozen=True):
    """What the whole table must satisfy."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=_NAME, description="name of the release")]
    k: Annotated[
        int, Meta(ge=2, le=1_000_000, description="fewest rows that look alike in the quasi-identifiers")
    ]
    method: Annotated[
        Literal["mondrian", "full-domain"],
        Meta(description="mondrian (each part cut anew) or full-domain (a level for each column)"),
    ] = "mondrian"
    suppression: Annotated[
        float, Meta(ge=0.0, le=0.5, description="largest share of rows left out; full-domain only")
    ] = 0.0
    population: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=10_000_000_000,
                description="people that the rows are drawn from; absent: the rows are all",
            ),
        ]
        | None
    ) = None
    scope: Annotated[
        str,
        Meta(max_length=64, description="pseudonyms of one scope can be linked; absent: the release's name"),
    ] = ""
    plain: Annotated[
        tuple[_Column, ...],
        Meta(
            min_length=0, max_length=1000, description="columns published as they are; nobody may know them"
        ),
    ] = ()


class QuasiColumn(Struct, frozen=True):
    """A column that somebody may know of a person."""

    kind: Annotated[
        Literal["number", "category", "prefix"],
        Meta(description="number, category (text) or prefix (text whose beginning means something)"),
    ]
    widths: Annotated[
        tuple[float, ...],
        Meta(
            min_length=0,
            max_length=16,
            description="number: widths of intervals, each a multiple of the last",
        ),
    ] = ()
    levels: Annotated[
        _Levels, Meta(description="category: what each value is called on each level, the finest first")
    ] = field(default_factory=dict)
    order: Annotated[
        tuple[_Value, ...],
        Meta(
            min_length=0, max_length=1000, description="category: all values in their order, if they have one"
        ),
    ] = ()
    keep: Annotated[
        tuple[int, ...],
        Meta(
            min_length=0, max_length=16, description="prefix: characters kept on each level, fewer each time"
        ),
    ] = ()


class SensitiveColumn(Struct, frozen=True):
    """A column that nobody shall learn of a person, with what every class must satisfy."""

    kind: Annotated[
        Literal["number", "category"],
        Meta(description="number or category (text, or numbers that are codes)"),
    ] = "category"
    distinct: (
        Annotated[
            float, Meta(ge=1.0, le=1_000_000.0, description="distinct l-diversity: least different values")
        ]
        | None
    ) = None
    entropy: (
        Annotated[float, Meta(ge=1.0, le=1_000_000.0, description="entropy l-diversity: least l")] | None
    ) = None
    recursive_c: (
        Annotated[float, Meta(ge=0.0, le=1_000_000.0, description="recursive (c, l)-diversity: c")] | None
    ) = None
    recursive_l: (
        Annotated[int, Meta(ge=1, le=1_000_000, description="recursive (c, l)-diversity: l")] | None
    ) = None
    t: Annotated[float, Meta(ge=0.0, le=1.0, description="t-closeness: largest distance")] | None = None
    distance: Annotated[
        Literal["equal", "ordered", "hierarchy"],
        Meta(description="t-closeness: distance of two values, equal, by rank or by level"),
    ] = "equal"
    step: (
        Annotated[
            float,
            Meta(
                ge=1e-9,
                le=1e15,
                description="number: values within one step are judged as one (published as they are)",
            ),
        ]
        | None
    ) = None
    levels: Annotated[_Levels, Meta(description="category: names on each level, for distance hierarchy")] = (
        field(default_factory=dict)
    )
    order: Annotated[
        tuple[_Value, ...],
        Meta(
            min_length=0, max_length=1000, description="category: all values in order, for distance ordered"
        ),
    ] = ()


class ReleaseSettings(Struct, frozen=True):
    """Checked settings: every value is legal and no two contradict each other.

    Attributes:
        release: what the whole table must satisfy.
        identifiers: direct identifiers by column: ``"drop"`` or ``"pseudonym"``.
        quasi: columns that are generalised.
        sensitive: columns that are protected.
    """

    release: Annotated[ReleaseHead, Meta(description="what the whole table must satisfy")]
    quasi: Annotated[
        dict[str, QuasiColumn], Meta(description="what somebody may know of a person: [quasi.<column>]")
    ]
    identifiers: Annotated[
        dict[str, Annotated[Literal["drop", "pseudonym"], Meta(description="drop or pseudonym")]],
        Meta(description="direct identifiers: <column> = drop or pseudonym"),
    ] = field(default_factory=dict)
    sensitive: Annotated[
        dict[str, SensitiveColumn],
        Meta(description="what nobody shall learn of a person: [sensitive.<column>]"),
    ] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """What pseudonyms are tied to."""
        return self.release.scope or self.release.name

    def roles(self) -> dict[str, str]:
        """The role of each column that the settings name."""
        return {
            **dict.fromkeys(self.identifiers, "identifier"),
            **dict.fromkeys(self.quasi, "quasi"),
            **dict.fromkeys(self.sensitive, "sensitive"),
            **dict.fromkeys(self.release.plain, "plain"),
        }


RELEASE_DOCUMENT: type[Struct] = ReleaseSettings
"""Sections and keys of a settings file, with types, bounds and meanings; the manual is written from it."""


def load_release(path: Path) -> ReleaseSettings:
    """Read and check a settings file.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is too large.
        PlanError: the text is not legal.
        StorageError: the file cannot be read.
    """
    content = read_file(path, _BYTES_MAX)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(
            "{file}: settings are UTF-8 text; byte {at} is not", file=path, at=error.start
        ) from error
    return parse_release(text, str(path))


def parse_release(text: str, name: str) -> ReleaseSettings:
    """Check the text of settings.

    Args:
        text: TOML.
        name: the file name shown in sentences.

    Raises:
        PlanError: the text is not legal.
    """
    document, place = parse_toml(text.replace("\r\n", "\n"), name)
    settings = convert(document, ReleaseSettings, place)
    _check_roles(settings, place)
    for column, quasi in settings.quasi.items():
        _check_quasi(quasi, place.at("quasi", column))
    for column, sensitive in settings.sensitive.items():
        _check_sensitive(sensitive, place.at("sensitive", column))
    return settings


def release_digest(settings: ReleaseSettings) -> str:
    """SHA-256 (hex) of the settings, every default written out."""
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()


def _check_roles(settings: ReleaseSettings, place: Place) -> None:
    if not settings.quasi:
        raise PlanError("{where}: name at least one column under quasi", where=place.at("quasi"))
    named: dict[str, str] = {}
    for section in ("identifiers", "quasi", "sensitive"):
        for column in getattr(settings, section):
            _once(named, column, place.at(section, column), section)
    for column in settings.release.plain:
        _once(named, column, place.at("release", "plain"), "plain")
    if settings.release.suppression and settings.release.method == "mondrian":
        raise PlanError(
            '{where}: method "mondrian" leaves no rows out; remove suppression or use method "full-domain"',
            where=place.at("release", "suppression"),
        )


def _once(named: dict[str, str], column: str, where: Place, section: str) -> None:
    if named.setdefault(column, section) != section:
        raise PlanError(
            "{where}: column {column} is named under {one} and under {other}; a column has one role",
            where=where,
            column=column,
            one=named[column],
            other=section,
        )


def _only(kind: str, keys: dict[str, tuple[str, Any]], where: Place) -> None:
    """Refuse keys of another kind of column."""
    for key, (owner, value) in keys.items():
        if value and owner != kind:
            raise PlanError(
                "{where}: {key} goes with kind {owner}, and this column has kind {kind}",
                where=where.at(key),
                key=key,
                owner=owner,
                kind=kind,
            )


def _check_quasi(column: QuasiColumn, where: Place) -> None:
    _only(
        column.kind,
        {
            "widths": ("number", column.widths),
            "levels": ("category", column.levels),
            "order": ("category", column.order),
            "keep": ("prefix", column.keep),
        },
        where,
    )


def _check_sensitive(column: SensitiveColumn, where: Place) -> None:
    _only(
        column.kind,
        {
            "step": ("number", column.step),
            "levels": ("category", column.levels),
            "order": ("category", column.order),
        },
        where,
    )
    if (column.recursive_c is None) != (column.recursive_l is None):
        raise PlanError("{where}: recursive_c and recursive_l go together", where=where)
    if column.distance == "hierarchy" and not column.levels:
        raise PlanError('{where}: distance "hierarchy" needs levels', where=where.at("distance"))
    if column.distance == "ordered" and column.kind == "category" and not column.order:
        raise PlanError(
            '{where}: distance "ordered" needs the kind "number", or the values in order',
            where=where.at("distance"),
        )
