"""Everything the report shows, as plain values: the contract between a job and the page.

The job fills these structs, the page draws them. They are JSON-able (:func:`to_json`, :func:`from_json`),
so a report can be drawn again later from the file alone. Rates and shares are fractions (0.22, not 22),
money is in units of ``currency``, times are seconds, instants are ISO 8601 UTC text. Text that people read
in two languages is :class:`Words`; names of columns, parties and files are plain text in any script and are
never trusted: the page escapes them.
"""

import msgspec

from tongzhou.errors import DataError

__all__ = [
    "FIGURES_VERSION",
    "Agreement",
    "AppliedRule",
    "ApprovalLevel",
    "BinFigure",
    "CardFigure",
    "CardLine",
    "Checkpoint",
    "Column",
    "Cosignature",
    "Decisions",
    "DistributionFigure",
    "ExampleDecision",
    "Figures",
    "Gain",
    "GrantFigure",
    "Interval",
    "KsFigure",
    "Leakage",
    "Line",
    "LogFigure",
    "Matching",
    "Metrics",
    "ModelFigure",
    "PartyFigure",
    "Reason",
    "ReceiptFigure",
    "RunFigure",
    "Signature",
    "StepCost",
    "SwapFigure",
    "SwapGroup",
    "Tamper",
    "TryNext",
    "VariableFigure",
    "Verification",
    "Words",
    "from_json",
    "to_json",
]

FIGURES_VERSION = 2
"""Raised when a field changes its meaning; a page refuses figures of another version."""


class _Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all figures: immutable, nothing unknown on load."""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same text in English and Chinese."""

    en: str
    zh: str


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value with the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class RunFigure(_Plain, frozen=True, kw_only=True):
    """Which run this is and how long it took in all."""

    run_id: str
    plan_name: str
    purpose: Words
    mode: str  # "aided", "pair" or "local"
    started: str
    finished: str
    wall_s: float
    cpu_s: float  # all parties together
    software: str  # name and version, e.g. "tongzhou 0.1.0"
    machine: str = ""  # one line: processor, cores, Python


class Column(_Plain, frozen=True, kw_only=True):
    """A column that a party brought, with what it means."""

    name: str
    meaning: Words


class PartyFigure(_Plain, frozen=True, kw_only=True):
    """A party of the run, what it brought and what it holds at the end."""

    party_id: str
    name: Words
    role: str  # "asker", "provider" or "helper"
    fingerprint: str  # of its identity key, as people compare it by phone
    rows: int | None = None  # None for a helper: it has no table
    columns: list[Column] = []
    holds: Words | None = None  # what stays with it at the end of the run


class GrantFigure(_Plain, frozen=True, kw_only=True):
    """What the provider allowed, and the refusal that came before it (None when not tried)."""

    grant_id: str
    provider: str  # party id
    askers: list[str]
    helpers: list[str]
    purpose: Words
    legal_basis: Words
    table: str
    columns: list[str]
    protocols: list[str]
    openings: list[Words]  # what the grant lets be opened, one sentence each
    minimum_rows: int
    minimum_bin_rows: int
    valid_from: str
    valid_until: str
    runs: int
    runs_used: int  # this run included
    refusal: Words | None = None  # the sentence that answered the same request without the grant


class Matching(_Plain, frozen=True, kw_only=True):
    """Who was found on both sides and how the matched clients were split."""

    protocol: Words
    asker_rows: int
    provider_rows: int
    matched_rows: int
    training_rows: int
    training_bad_rate: float
    held_out_rows: int
    held_out_bad_rate: float


class Metrics(_Plain, frozen=True, kw_only=True):
    """Quality of one model on one set of clients."""

    auc: Interval
    ks: Interval
    gini: Interval


class ModelFigure(_Plain, frozen=True, kw_only=True):
    """One model: ``key`` is "bank", "joint" or "clear" (bank alone, joint protected, joint in the clear)."""

    key: str
    variables: int
    training: Metrics
    held_out: Metrics


class Gain(_Plain, frozen=True, kw_only=True):
    """What the partner adds on held-out clients: joint minus bank alone, paired bootstrap intervals."""

    auc: Interval
    ks: Interval
    gini: Interval
    repeats: int  # of the bootstrap


class Agreement(_Plain, frozen=True, kw_only=True):
    """How far the protected model is from the same model in the clear (largest absolute differences)."""

    score_points: float  # over all matched clients
    score_logit: float  # before rounding to points
    auc: float  # held-out
    woe: float | None = None  # over all bins
    iv: float | None = None
    coefficient: float | None = None
    cpu_s_protected: float | None = None  # training only, all parties together
    cpu_s_clear: float | None = None  # scikit-learn, same data, same tolerance


class Line(_Plain, frozen=True, kw_only=True):
    """A curve of a model; ``x`` and ``y`` have the same length (a few hundred points are enough)."""

    model: str
    x: list[float]
    y: list[float]


class KsFigure(_Plain, frozen=True, kw_only=True):
    """Cumulative shares of good and bad clients by score, for one model, and their widest gap."""

    model: str
    score: list[float]
    good: list[float]
    bad: list[float]
    at_score: float
    ks: float


class DistributionFigure(_Plain, frozen=True, kw_only=True):
    """Held-out clients by score band: ``edges`` has one more entry than ``good`` and ``bad`` (counts)."""

    model: str
    edges: list[float]
    good: list[int]
    bad: list[int]
    cutoff: float | None = None


class BinFigure(_Plain, frozen=True, kw_only=True):
    """One bin of one variable. Counts are None where the grant keeps them closed."""

    label: Words
    woe: float
    rows: int | None = None
    event_rate: float | None = None
    points: int | None = None  # None when the variable is not in the card
    special: bool = False  # a special value or missing: outside the monotone order


class VariableFigure(_Plain, frozen=True, kw_only=True):
    """A candidate variable: binning, information value and what became of it."""

    name: str
    owner: str  # party id
    meaning: Words
    iv: float
    bins: list[BinFigure]
    kept: bool
    dropped_because: Words | None = None
    direction: str = ""  # "up", "down" or "" when not monotone by design


class CardLine(_Plain, frozen=True, kw_only=True):
    """A variable of the card with its coefficient. Statistics are None where they stay closed."""

    name: str
    owner: str
    coefficient: float
    standard_error: float | None = None
    p_value: float | None = None


class CardFigure(_Plain, frozen=True, kw_only=True):
    """The joint card. The points of each bin stand in the bins of the variables."""

    name: str
    version: str
    base_points: int  # points at the base odds
    base_odds: float  # good : bad
    pdo: float  # points that double the odds
    offset_points: int  # what every client starts from before the points of the bins
    intercept: float
    lines: list[CardLine]


class ApprovalLevel(_Plain, frozen=True, kw_only=True):
    """Bad rate among the approved when both models approve the same share of held-out clients."""

    approval: float
    bad_rate_bank: float
    bad_rate_joint: float


class SwapGroup(_Plain, frozen=True, kw_only=True):
    """A group of clients in the swap set."""

    clients: int
    bad_rate: float
    exposure: float  # credit limits together
    bad_exposure: float  # of those who defaulted


class SwapFigure(_Plain, frozen=True, kw_only=True):
    """Who changes sides at equal approval when the partner's data is used."""

    approval: float
    both_approved: SwapGroup
    swapped_in: SwapGroup  # declined by the bank alone, approved by the joint card
    swapped_out: SwapGroup  # approved by the bank alone, declined by the joint card
    both_declined: SwapGroup
    bad_exposure_avoided: float  # swapped out minus swapped in
    currency: str


class AppliedRule(_Plain, frozen=True, kw_only=True):
    """A rule of the strategy and how many applicants it hit."""

    rule_id: str
    grade: str  # "advisory", "restrictive" or "prohibitive"
    words: Words
    hits: int


class Reason(_Plain, frozen=True, kw_only=True):
    """A reason of a decision in words; ``owner`` is a party id or "" for the strategy's own rules."""

    code: str
    words: Words
    owner: str = ""
    points_lost: int | None = None


class ExampleDecision(_Plain, frozen=True, kw_only=True):
    """One decision, shown without identifier."""

    applicant: int  # a running number in the report; never an identifier
    outcome: str  # "approve", "review" or "decline"
    score: int | None
    reasons: list[Reason]


class Decisions(_Plain, frozen=True, kw_only=True):
    """Decisions for the applicants under the published strategy."""

    strategy: str
    version: str
    digest: str
    cutoff_approve: int
    cutoff_review: int | None
    applicants: int
    approved: int
    reviewed: int
    declined: int
    bad_rate_approved: float | None
    bad_rate_declined: float | None
    p50_us: float
    p99_us: float
    rules: list[AppliedRule]
    examples: list[ExampleDecision]


class StepCost(_Plain, frozen=True, kw_only=True):
    """Cost of one step, all parties together."""

    name: str  # the name in the receipt and in the log, e.g. "match"
    words: Words
    wall_s: float
    cpu_s: float
    bytes: int
    rounds: int


class Leakage(_Plain, frozen=True, kw_only=True):
    """Who learned what in one step, beyond its own input, under which assumption, after which paper."""

    step: str  # name of the step
    learned: list[
        tuple[str, Words]
    ]  # (party id, what it learned); say "nothing" too, a party left out shows a dash
    assumption: Words
    paper: str  # citation
    cost: Words | None = None


class Signature(_Plain, frozen=True, kw_only=True):
    """A signature under the receipt."""

    party: str
    algorithm: str
    value: str


class ReceiptFigure(_Plain, frozen=True, kw_only=True):
    """The signed record of the run."""

    run_id: str
    plan_digest: str
    grant_id: str
    code_version: str
    commitments: list[tuple[str, str]]  # (what, digest), e.g. ("bank/clients", "sha256:...")
    outputs: list[tuple[str, Words]]  # (party id, what it got)
    signatures: list[Signature]


class Cosignature(_Plain, frozen=True, kw_only=True):
    """A witness's signature under a checkpoint."""

    witness: str  # party id
    time: str


class Checkpoint(_Plain, frozen=True, kw_only=True):
    """The last checkpoint of a party's log."""

    origin: str
    size: int
    root: str
    text: str = ""  # the signed note as published, cosignatures included
    cosignatures: list[Cosignature] = []


class LogFigure(_Plain, frozen=True, kw_only=True):
    """A party's log and its independent verification."""

    party: str
    checkpoint: Checkpoint
    entries_verified: int
    checkpoints_verified: int
    verified: bool
    sentence: Words


class Tamper(_Plain, frozen=True, kw_only=True):
    """The tampering that was shown: one byte flipped in a copy, and what the checker said."""

    party: str  # whose log was copied
    file: str
    offset: int  # of the byte in the copy
    entry: int  # index of the entry that was hit
    found: bool
    sentence: Words  # as the checker said it


class TryNext(_Plain, frozen=True, kw_only=True):
    """A command the reader can run, and what it shows."""

    command: str
    words: Words


class Verification(_Plain, frozen=True, kw_only=True):
    """Verification of all logs, the tampered copy and how to do it oneself."""

    logs: list[LogFigure]
    tamper: Tamper | None
    commands: list[TryNext]


class Figures(_Plain, frozen=True, kw_only=True):
    """The whole report."""

    title: Words
    run: RunFigure
    data: Words  # what the data is, from where, under which licence
    parties: list[PartyFigure]
    grant: GrantFigure
    matching: Matching
    models: list[ModelFigure]
    gain: Gain
    agreement: Agreement
    roc: list[Line]
    ks: list[KsFigure]
    distributions: list[DistributionFigure]
    variables: list[VariableFigure]
    card: CardFigure
    approvals: list[ApprovalLevel]
    swap: SwapFigure
    decisions: Decisions
    steps: list[StepCost]
    leakage: list[Leakage]
    receipt: ReceiptFigure
    verification: Verification
    limits: list[Words]  # honest limits, one sentence each
    calibration: list[Line] = []  # x: predicted, y: observed bad rate, by model; may be empty
    version: int = FIGURES_VERSION


def to_json(figures: Figures) -> bytes:
    """Return the figures as JSON, keys in the order of the fields.

    Args:
        figures: what the report shows.

    Returns:
        UTF-8 JSON.
    """
    return msgspec.json.encode(figures)


def from_json(text: bytes) -> Figures:
    """Read figures written by :func:`to_json`.

    Args:
        text: UTF-8 JSON.

    Returns:
        The figures.

    Raises:
        DataError: when a field is missing, unknown or of a wrong type, or the version is another one.
    """
    try:
        figures = msgspec.json.decode(text, type=Figures)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError("the report's figures cannot be read: {reason}", reason=str(error)) from error
    if figures.version != FIGURES_VERSION:
        raise DataError(
            "the report's figures have version {got}; this program draws version {allowed}",
            got=figures.version,
            allowed=FIGURES_VERSION,
        )
    return figures
