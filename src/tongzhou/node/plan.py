"""The plan of a joint computation: parties and roles, trust mode, tables, and each step's parameters.

A plan is one TOML file that every party of a run reads. `load_plan` is strict: malformed TOML, an unknown
key, a wrong type, a value out of range or a contradiction is one sentence naming file, line and key.
All parties compare `plan_digest` before they begin, so that nobody works to another text.
"""

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from tongzhou.errors import NotFoundError, PlanError, StorageError
from tongzhou.node._strict import Place, convert, parse_toml
from tongzhou.node.plan_jobs import JOB_RULES, PlanJob
from tongzhou.parties.names import near_name
from tongzhou.secure.party import Role, provider_roles

__all__ = [
    "DOCUMENT",
    "Binning",
    "BoostSection",
    "CardSettings",
    "Holdout",
    "Match",
    "Parties",
    "Plan",
    "PlanOpenings",
    "PlanTable",
    "SelectionSettings",
    "SizeSection",
    "Train",
    "decode_plan",
    "encode_plan",
    "is_table_name",
    "load_plan",
    "parse_plan",
    "plan_digest",
]

# A plan is a page of text; anything larger is another file by mistake.
_PLAN_BYTES_MAX = 1 << 20
_COLUMNS_MAX = 1000
_PROVIDERS_MAX = 50

Mode = Literal["aided", "pair", "local"]

_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=_NAME)]
# One DNS label, as `parties.names` allows: a certificate names the party by it.
_Party = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[a-z](?:[a-z0-9]|-(?=[a-z0-9]))*$")]
_Column = Annotated[str, Meta(min_length=1, max_length=200)]


class _Head(Struct, frozen=True):
    """Goes first in a plan, field by field."""

    name: Annotated[_Name, Meta(description="name of the plan; runs and models carry it")]
    purpose: Annotated[
        str, Meta(min_length=1, max_length=200, description="purpose, as the grant must name it")
    ]
    mode: Annotated[
        Mode,
        Meta(
            description="trust mode: aided (a neutral helper), pair (two owners and nobody else) or local "
            "(one process, no protection)"
        ),
    ]
    job: Annotated[
        PlanJob,
        Meta(
            description="what is computed: scorecard, boosting, match (only find the common rows), size "
            "(only count them) or join (learn the provider's columns of them)"
        ),
    ] = "scorecard"


class Parties(Struct, frozen=True):
    """Who takes which role. Values are party identifiers."""

    asker: Annotated[_Party, Meta(description="party that holds the label and asks for the card")]
    provider: Annotated[_Party, Meta(description="party that provides further columns")]
    further_providers: Annotated[
        tuple[_Party, ...],
        Meta(max_length=_PROVIDERS_MAX - 1, description="more parties that provide, where the job allows it"),
    ] = ()
    helper: (
        Annotated[_Party, Meta(description="neutral party that deals randomness; only in mode aided")] | None
    ) = None

    @property
    def providers(self) -> tuple[str, ...]:
        """All providers, in order."""
        return (self.provider, *self.further_providers)


class Match(Struct, frozen=True):
    """How the two owners find their common rows."""

    identifier: Annotated[
        dict[str, _Column],
        Meta(description="identifier column: one name for both owners, or identifier.<party> for each"),
    ]
    protocol: Annotated[
        Literal["dh", "vole", "aided"],
        Meta(
            description="dh (two-party Diffie-Hellman), vole (two-party, symmetric: for long lists) or aided "
            "(blind, by the helper)"
        ),
    ] = "dh"
    kind: Annotated[
        Literal["text", "number", "phone", "id-card-cn", "uscc", "org-code-cn", "lei", "company"],
        Meta(description="normal form of the identifiers"),
    ] = "text"
    minimum_rows: Annotated[
        int, Meta(ge=1, le=1_000_000_000, description="fewest common rows with which the run goes on")
    ] = 1000


class PlanTable(Struct, frozen=True):
    """What one owner brings: a named table of its own and the columns used."""

    table: Annotated[_Name, Meta(description="name under which the owner added the table")]
    columns: Annotated[tuple[_Column, ...], Meta(max_length=_COLUMNS_MAX, description="columns used")] = ()
    label: (
        Annotated[_Column, Meta(description="column of the 0/1 label; on the asker's side only")] | None
    ) = None
    specials: Annotated[
        dict[str, Annotated[tuple[float, ...], Meta(min_length=1, max_length=32)]],
        Meta(description="values of a column that get bins of their own: {column = [-1.0, -2.0]}"),
    ] = field(default_factory=dict)


class Holdout(Struct, frozen=True):
    """Rows set aside for evaluation, chosen by a hash of the identifier."""

    share: Annotated[float, Meta(ge=0.05, le=0.9, description="share of the common rows set aside")] = 0.3
    seed: Annotated[str, Meta(min_length=1, max_length=64, description="text that fixes which rows")] = "1"


class Binning(Struct, frozen=True):
    """How variables are cut into bins."""

    fine: Annotated[int, Meta(ge=2, le=256, description="most fine bins before merging")] = 32
    max_bins: Annotated[int, Meta(ge=2, le=32, description="most bins of a variable after merging")] = 6
    min_share: Annotated[float, Meta(ge=0.0, le=0.5, description="smallest share of the rows in a bin")] = (
        0.02
    )
    monotone: Annotated[
        Literal["auto", "up", "down", "none"], Meta(description="direction of the event rate along the bins")
    ] = "auto"


class SelectionSettings(Struct, frozen=True):
    """Which variables enter the card."""

    min_iv: Annotated[float, Meta(ge=0.0, le=10.0, description="smallest information value kept")] = 0.02


class Train(Struct, frozen=True):
    """How the logistic regression is fitted."""

    l2: Annotated[float, Meta(ge=0.0, le=1000.0, description="ridge penalty on the coefficients")] = 0.0
    tolerance: Annotated[
        float, Meta(ge=1e-9, le=0.01, description="gradient size at which training stops")
    ] = 1e-6
    max_iterations: Annotated[int, Meta(ge=1, le=500, description="most iterations")] = 50


class CardSettings(Struct, frozen=True):
    """The scale of the points."""

    pdo: Annotated[float, Meta(ge=1.0, le=1000.0, description="points that double the odds")] = 20.0
    base_points: Annotated[float, Meta(ge=0.0, le=100_000.0, description="points at the base odds")] = 600.0
    base_odds: Annotated[
        float, Meta(ge=0.001, le=1_000_000.0, description="good : bad odds at base_points")
    ] = 20.0


class SizeSection(Struct, frozen=True):
    """How the number of common rows is told."""

    multiple: Annotated[
        int, Meta(ge=1, le=1_000_000, description="the number is rounded down to a multiple")
    ] = 1
    receivers: Annotated[
        Literal["asker", "both"], Meta(description="who learns the number; below minimum_rows nobody does")
    ] = "both"


class BoostSection(Struct, frozen=True):
    """How boosted trees are grown."""

    trees: Annotated[int, Meta(ge=1, le=1000, description="most trees")] = 50
    depth: Annotated[int, Meta(ge=1, le=6, description="splits on the way to a leaf")] = 3
    bins: Annotated[int, Meta(ge=4, le=64, description="bins of each variable")] = 32
    learning_rate: Annotated[float, Meta(ge=0.001, le=1.0, description="factor of each tree's weights")] = 0.3
    l2: Annotated[float, Meta(ge=0.0, le=1024.0, description="penalty on leaf weights")] = 1.0
    min_child_weight: Annotated[
        float, Meta(ge=0.0, le=1024.0, description="least sum of curvatures in a child")
    ] = 1.0
    min_gain: Annotated[float, Meta(ge=0.0, le=1000.0, description="least gain of a split")] = 0.0
    missing: Annotated[
        Literal["lowest", "learned"],
        Meta(description="missing values: below all others, or on the side that each split prefers"),
    ] = "lowest"
    patience: Annotated[
        int,
        Meta(ge=0, le=1000, description="trees that may fail to improve the rows set aside; 0: grow all"),
    ] = 0
    column_share: Annotated[float, Meta(ge=0.01, le=1.0, description="share of columns a tree looks at")] = (
        1.0
    )
    row_share: Annotated[float, Meta(ge=0.01, le=1.0, description="share of rows a tree looks at")] = 1.0
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="public seed of these draws")] = 0
    rare: Annotated[bool, Meta(description="whether scores reach beyond 8 log-odds, as for rare events")] = (
        False
    )
    monotone: Annotated[
        dict[str, Literal["up", "down"]],
        Meta(description="columns with which the risk may only rise or only fall: {column = 'up'}"),
    ] = field(default_factory=dict)
    leaves: Annotated[
        Literal["shared", "asker"], Meta(description="leaf weights: stay shared, or the asker learns them")
    ] = "shared"
    gains: Annotated[bool, Meta(description="tell each owner the total gain of each own column")] = False


class PlanOpenings(Struct, frozen=True):
    """What is opened to whom beyond the scores; the grant must allow each."""

    bin_counts: Annotated[
        Literal["provider", "both"], Meta(description="who sees rows and events of the provider's bins")
    ] = "both"
    card: Annotated[
        Literal["shared", "own", "both"],
        Meta(description="coefficients: stay shared, each owner its own, or both learn the card"),
    ] = "both"
    reasons: Annotated[int, Meta(ge=0, le=8, description="reasons named to the asker for each decision")] = 4
    training_summary: Annotated[
        bool, Meta(description="open standard errors and log-likelihood of the training to both")
    ] = True


class Plan(Struct, frozen=True):
    """A checked plan. Every value is legal and no two contradict each other.

    Attributes:
        name: name of the plan.
        purpose: purpose, as the grant must name it.
        mode: trust mode.
        job: what is computed.
        parties: roles.
        match: matching; `match.identifier` maps both owners to their column.
        tables: what each owner brings, by party identifier.
        holdout: rows set aside.
        binning: bins.
        selection: variables kept.
        train: fitting.
        card: points.
        openings: what is opened to whom.
        size: telling the number of common rows.
        boosting: growing of boosted trees.
    """

    name: str
    purpose: str
    mode: Mode
    job: PlanJob
    parties: Parties
    match: Match
    tables: dict[str, PlanTable]
    holdout: Holdout
    binning: Binning
    selection: SelectionSettings
    train: Train
    card: CardSettings
    openings: PlanOpenings
    size: SizeSection
    boosting: BoostSection

    @property
    def owners(self) -> tuple[str, ...]:
        """Asker and providers: those that bring a table."""
        return (self.parties.asker, *self.parties.providers)

    @property
    def members(self) -> tuple[str, ...]:
        """All parties of the run: asker, providers and, in mode aided, the helper."""
        return self.owners if self.parties.helper is None else (*self.owners, self.parties.helper)

    @property
    def roles(self) -> dict[Role, str]:
        """Party of each role, in the order of `members`."""
        providers = self.parties.providers
        found = {"asker": self.parties.asker}
        found |= dict(zip(provider_roles(len(providers)), providers, strict=True))
        return found if self.parties.helper is None else found | {"helper": self.parties.helper}

    def role(self, party_id: str) -> Role:
        """The role of a party: "asker", "provider", "provider2" and so on, or "helper".

        Raises:
            PlanError: the plan does not name this party.
        """
        for role, name in self.roles.items():
            if name == party_id:
                return role
        raise PlanError(
            "plan {plan}: {party} has no role in it; it names {members}",
            plan=self.name,
            party=party_id,
            members=", ".join(self.members),
        )


class _Document(Struct, frozen=True):
    plan: Annotated[_Head, Meta(description="what the plan is for")]
    parties: Annotated[Parties, Meta(description="who takes which role")]
    match: Annotated[Match, Meta(description="finding the common rows")]
    tables: Annotated[
        dict[str, PlanTable], Meta(description="what each owner brings, by party: [tables.<party>]")
    ]
    holdout: Annotated[Holdout, Meta(description="rows set aside for evaluation")] = field(
        default_factory=Holdout
    )
    binning: Annotated[Binning, Meta(description="cutting variables into bins")] = field(
        default_factory=Binning
    )
    selection: Annotated[SelectionSettings, Meta(description="choosing variables")] = field(
        default_factory=SelectionSettings
    )
    train: Annotated[Train, Meta(description="the logistic regression")] = field(default_factory=Train)
    card: Annotated[CardSettings, Meta(description="the scale of the points")] = field(
        default_factory=CardSettings
    )
    openings: Annotated[PlanOpenings, Meta(description="what is opened to whom")] = field(
        default_factory=PlanOpenings
    )
    size: Annotated[SizeSection, Meta(description="telling how many rows are common")] = field(
        default_factory=SizeSection
    )
    boosting: Annotated[BoostSection, Meta(description="growing boosted trees")] = field(
        default_factory=BoostSection
    )


_HEAD = _Head.__struct_fields__

DOCUMENT: type[Struct] = _Document
"""The sections and keys of a plan file, with types, bounds and meanings; the manual is written from it."""


def load_plan(path: Path) -> Plan:
    """Read and check a plan file.

    Raises:
        NotFoundError: there is no such file.
        PlanError: the text is not a legal plan.
        StorageError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_PLAN_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise NotFoundError("{file}: there is no such plan file", file=path) from error
    except OSError as error:
        raise StorageError("{file} cannot be read: {cause}", file=path, cause=error.strerror) from error
    if len(data) > _PLAN_BYTES_MAX:
        raise PlanError("{file}: a plan has at most {limit} bytes", file=path, limit=_PLAN_BYTES_MAX)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(
            "{file}: a plan is UTF-8 text; byte {at} is not", file=path, at=error.start
        ) from error
    return parse_plan(text, str(path))


def parse_plan(text: str, name: str) -> Plan:
    """Check the text of a plan.

    Args:
        text: TOML.
        name: the file name shown in sentences.

    Raises:
        PlanError: the text is not a legal plan.
    """
    document, place = parse_toml(text.replace("\r\n", "\n"), name)
    return _build(document, place)


def is_table_name(text: str) -> bool:
    """Whether a plan could name a table so; such a name is a safe file name too."""
    return re.fullmatch(_NAME, text, re.ASCII) is not None


def encode_plan(plan: Plan) -> bytes:
    """Canonical JSON of a plan: sorted keys, every default of the sections that its job has written out."""
    keys = (*_HEAD, "parties", *JOB_RULES[plan.job].sections)
    return msgspec.json.encode({key: getattr(plan, key) for key in keys}, order="sorted")


def decode_plan(data: bytes, name: str) -> Plan:
    """Read a plan that a store or a peer holds as JSON; it is checked like a file.

    Args:
        data: what `encode_plan` wrote.
        name: where it came from, for sentences.

    Raises:
        PlanError: not JSON, or not a legal plan.
    """
    try:
        raw = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise PlanError("{file}: not valid JSON: {what}", file=name, what=error) from error
    if not isinstance(raw, dict):
        raise PlanError(
            "{where}: {key} must be a section, got {got}", where=name, key="plan", got=type(raw).__name__
        )
    head = {key: raw.pop(key) for key in _HEAD if key in raw}
    return _build({"plan": head, **_without_nulls(raw)}, Place(name))


def plan_digest(plan: Plan) -> str:
    """SHA-256 (hex) of the canonical JSON: equal for equal plans, however the files are laid out."""
    return hashlib.sha256(encode_plan(plan)).hexdigest()


def _without_nulls(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {key: _without_nulls(value) for key, value in raw.items() if value is not None}
    return raw


def _build(raw: dict[str, Any], place: Place) -> Plan:
    document = convert(_spread_identifier(raw), _Document, place)
    head = document.plan
    plan = Plan(
        **{key: getattr(head, key) for key in _HEAD},
        **{key: getattr(document, key) for key in Plan.__struct_fields__[len(_HEAD) :]},
    )
    _check_job(plan, raw, place)
    for check in (_check_roles, _check_owners, _check_label, _check_columns, _check_binning, _check_boosting):
        check(plan, place)
    return plan


def _check_job(plan: Plan, raw: dict[str, Any], place: Place) -> None:
    """Only sections that the job reads, and only a mode that it runs in: nothing is silently ignored."""
    rules = JOB_RULES[plan.job]
    for section in raw:
        if section not in ("plan", "parties", *rules.sections):
            raise PlanError(
                "{where}: job {job} reads no section {section}; it reads {allowed}",
                where=place.at(section),
                job=plan.job,
                section=section,
                allowed=", ".join(rules.sections),
            )
    if plan.mode not in rules.modes:
        raise PlanError(
            "{where}: job {job} does not run in mode {mode}; it runs in {allowed}",
            where=place.at("plan", "mode"),
            job=plan.job,
            mode=plan.mode,
            allowed=", ".join(rules.modes),
        )


def _spread_identifier(raw: dict[str, Any]) -> dict[str, Any]:
    """One identifier name for both owners becomes a name for each, so that later code sees one shape."""
    match, parties = raw.get("match"), raw.get("parties")
    if not isinstance(match, dict) or not isinstance(parties, dict):
        return raw
    name = match.get("identifier")
    further = parties.get("further_providers", [])
    owners = [parties.get(role) for role in ("asker", "provider")]
    owners += further if isinstance(further, list) else [further]
    if not isinstance(name, str) or not all(isinstance(owner, str) for owner in owners):
        return raw
    return {**raw, "match": {**match, "identifier": dict.fromkeys(owners, name)}}


def _check_roles(plan: Plan, place: Place) -> None:
    where = place.at("parties")
    if plan.mode == "aided" and plan.parties.helper is None:
        raise PlanError('{where}: mode "aided" needs parties.helper, the neutral party', where=where)
    if plan.mode != "aided" and plan.parties.helper is not None:
        raise PlanError(
            '{where}: mode "{mode}" has no helper; remove parties.helper or use mode "aided"',
            where=where.at("helper"),
            mode=plan.mode,
        )
    most = 1 if plan.mode == "local" else JOB_RULES[plan.job].providers_max
    if len(plan.parties.providers) > most:
        raise PlanError(
            "{where}: job {job} in mode {mode} has at most {most} providers, got {got}",
            where=where.at("further_providers"),
            job=plan.job,
            mode=plan.mode,
            most=most,
            got=len(plan.parties.providers),
        )
    twice = [party for party, count in Counter(plan.members).items() if count > 1]
    if twice:
        raise PlanError(
            "{where}: {party} has two roles; each role needs its own party", where=where, party=twice[0]
        )
    if plan.match.protocol == "aided" and plan.mode != "aided":
        raise PlanError(
            '{where}: match.protocol "aided" needs mode "aided"; use "dh" or "vole"',
            where=place.at("match", "protocol"),
        )


def _check_owners(plan: Plan, place: Place) -> None:
    for section, path in ((plan.tables, ("tables",)), (plan.match.identifier, ("match", "identifier"))):
        for party in section:
            if party in plan.owners:
                continue
            where = place.at(*path, party)
            if party == plan.parties.helper:
                raise PlanError(
                    "{where}: {party} is the helper and brings no table", where=where, party=party
                )
            hint = near_name(party, list(plan.owners)) or " / ".join(plan.owners)
            raise PlanError(
                "{where}: {key} is for a party without a role; did you mean {near}?",
                where=where,
                key=where.key,
                near=hint,
            )
        for party in plan.owners:
            if party not in section:
                raise PlanError(
                    "{where}: {key} is missing", where=place.at(*path), key=place.at(*path, party).key
                )


def _check_label(plan: Plan, place: Place) -> None:
    asker = plan.parties.asker
    for provider in plan.parties.providers:
        if plan.tables[provider].label is not None:
            raise PlanError(
                "{where}: the label belongs to the asker {asker}; remove it from the provider's table",
                where=place.at("tables", provider, "label"),
                asker=asker,
            )
    label = plan.tables[asker].label
    if label is not None and not JOB_RULES[plan.job].label:
        raise PlanError(
            "{where}: job {job} reads no label; remove it",
            where=place.at("tables", asker, "label"),
            job=plan.job,
        )
    if label is None and JOB_RULES[plan.job].label:
        raise PlanError(
            "{where}: {key} is missing",
            where=place.at("tables", asker),
            key=place.at("tables", asker, "label").key,
        )


def _check_columns(plan: Plan, place: Place) -> None:
    for party in plan.owners:
        table, where = plan.tables[party], place.at("tables", party, "columns")
        needed = JOB_RULES[plan.job].columns or (plan.job == "join" and party != plan.parties.asker)
        if not table.columns and needed:
            raise PlanError("{where}: {key} is missing", where=place.at("tables", party), key=where.key)
        twice = [column for column, count in Counter(table.columns).items() if count > 1]
        if twice:
            raise PlanError("{where}: column {column} is listed twice", where=where, column=twice[0])
        if table.label in table.columns:
            raise PlanError(
                "{where}: column {column} is the label and cannot be a variable too",
                where=where,
                column=table.label,
            )
        if plan.match.identifier[party] in table.columns:
            raise PlanError(
                "{where}: column {column} is the identifier and cannot be a variable too",
                where=where,
                column=plan.match.identifier[party],
            )
        for column in table.specials:
            if column not in table.columns:
                raise PlanError(
                    "{where}: {key} names a column that is not among the columns used",
                    where=place.at("tables", party, "specials"),
                    key=place.at("tables", party, "specials", column).key,
                )
    if JOB_RULES[plan.job].columns:
        _check_names_differ(plan, place)


def _check_names_differ(plan: Plan, place: Place) -> None:
    seen = set(plan.tables[plan.parties.asker].columns)
    for provider in plan.parties.providers:
        own = set(plan.tables[provider].columns)
        if both := sorted(seen & own):
            raise PlanError(
                "{where}: column {column} is named on both sides; variables of one card need different names",
                where=place.at("tables", provider, "columns"),
                column=both[0],
            )
        seen |= own


def _check_binning(plan: Plan, place: Place) -> None:
    if plan.binning.max_bins > plan.binning.fine:
        raise PlanError(
            "{where}: binning.max_bins is {most}, more than the {fine} fine bins",
            where=place.at("binning", "max_bins"),
            most=plan.binning.max_bins,
            fine=plan.binning.fine,
        )


def _check_boosting(plan: Plan, place: Place) -> None:
    known = {column for party in plan.owners for column in plan.tables[party].columns}
    for column in plan.boosting.monotone:
        if column not in known:
            raise PlanError(
                "{where}: {key} names a column that is not among the columns used",
                where=place.at("boosting", "monotone"),
                key=place.at("boosting", "monotone", column).key,
            )
    if plan.boosting.patience > plan.boosting.trees:
        raise PlanError(
            "{where}: boosting.patience is {patience}, more than the {trees} trees",
            where=place.at("boosting", "patience"),
            patience=plan.boosting.patience,
            trees=plan.boosting.trees,
        )
