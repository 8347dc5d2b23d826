"""From the bytes of a strategy's files to a checked strategy. Every error points at file, line and column."""

import itertools
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tongzhou.decide._check import Known
from tongzhou.decide._inputs import LARGEST, Input, Words
from tongzhou.decide._section import Section, root
from tongzhou.decide._source import PLACE, near_hint, show
from tongzhou.decide._tokens import KEYWORDS
from tongzhou.decide._toml import Path, read_toml
from tongzhou.decide.expression import FUNCTIONS, TYPES, checked_condition
from tongzhou.decide.strategy import (
    GRADES,
    OUTCOMES,
    Cutoff,
    Rule,
    ScoreSource,
    digest_files,
)
from tongzhou.errors import DataError, NotFoundError, PlanError, VerificationError
from tongzhou.risk import scorecard

__all__ = ["read_strategy", "revise_files"]

FORMAT = 1
MAX_RULES = 2_000
MAX_INPUTS = 1_000
MAX_REASONS = 20

_FILES = ("admission.toml", "rules.toml", "strategy.toml", "words.toml")
_DIGEST_FILE = "digest.txt"
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NAME = re.compile(r"[^\W\d]\w{0,63}")
# The names under which conditions see the score and the reason codes that come with it.
SCORE = "score"
SCORE_REASONS = "score_reasons"


def read_strategy(files: Mapping[str, bytes], *, where: str) -> dict[str, Any]:
    """Read and check all files.

    Args:
        files: bytes by name.
        where: what the sentences call the folder.

    Returns:
        The fields of a `Strategy`.

    Raises:
        PlanError: see `Strategy.load`, which lists the others as well.
    """
    files = _verified(files, where)
    if "strategy.toml" not in files:
        raise NotFoundError("{folder} holds no strategy.toml, so it is not a strategy", folder=where)
    top = root(read_toml(files["strategy.toml"], "strategy.toml"))
    fields = _head(top)
    card_file = _card_file(top)
    inputs = _inputs(top)
    fields["score"], fields["cutoff"] = _score(top, files)
    _only_known(files, card_file, where)
    top.done()
    implied = _implied(fields["score"], inputs)
    fields["inputs"] = (*inputs, *implied)
    known = {item.name: Known(item.type, item.allowed) for item in inputs}
    everything = known | {item.name: Known(item.type) for item in implied}
    if fields["score"].source == "card":
        everything[SCORE] = Known("number")
    defaults = fields.pop("missing")
    fields["admission"] = _rules(files, "admission", known, missing=defaults["admission"])
    fields["rules"] = _rules(files, "rules", everything, missing=defaults["rules"])
    _unique((*fields["admission"], *fields["rules"]))
    fields["words"] = _words_file(files)
    return fields | {"files": files, "digest": digest_files(files)}


def _verified(files: Mapping[str, bytes], where: str) -> dict[str, bytes]:
    """Without the digest file, which a published version carries and which must agree."""
    content = {name: raw for name, raw in files.items() if name != _DIGEST_FILE}
    if _DIGEST_FILE in files:
        stated = files[_DIGEST_FILE].decode("ascii", "replace").strip()
        found = digest_files(content)
        if stated != found:
            raise VerificationError(
                "{folder} was changed after it was published: its files give the digest {found},"
                " digest.txt says {stated}",
                folder=where,
                found=found[:16],
                stated=show(stated[:16]),
            )
    return content


def _only_known(files: Mapping[str, bytes], card_file: str | None, where: str) -> None:
    """A misspelt file would silently switch its rules off."""
    known = [*_FILES, card_file] if card_file else list(_FILES)
    for name in files:
        if name not in known:
            raise PlanError(
                "{folder} holds the file {got}, which is no part of a strategy{hint}",
                folder=where,
                got=show(name),
                hint=near_hint(name, known),
            )


# -- strategy.toml


def _head(top: Section) -> dict[str, Any]:
    stated = top.take("format", int)
    if stated != FORMAT:
        raise top.error("format", "format must be {allowed}, got {got}", allowed=FORMAT, got=stated)
    grades = top.table("grades")
    found = {
        grade: grades.choose(grade, OUTCOMES, default)
        for grade, default in zip(GRADES, OUTCOMES, strict=True)
    }
    for mild, strict in itertools.pairwise(GRADES):
        if OUTCOMES.index(found[mild]) > OUTCOMES.index(found[strict]):
            raise grades.error(mild, "{mild} may not be stricter than {strict}", mild=mild, strict=strict)
    grades.done()
    missing = top.table("missing")
    policies = {stage: missing.choose(stage, _POLICIES, "review") for stage in ("admission", "rules")}
    missing.done()
    return {
        "name": _code(top, "name"),
        "version": _code(top, "version"),
        "language": top.choose("language", ("en", "zh"), "en"),
        "title": _words(top.table("title")),
        "extra_inputs": top.choose("extra_inputs", ("refuse", "ignore"), "refuse"),
        "grades": found,
        "missing": policies,
    }


_POLICIES = ("skip", "review", "hit")


def _code(section: Section, key: str) -> str:
    value = str(section.take(key, str))
    if not _CODE.fullmatch(value):
        raise section.error(
            key,
            "{key} must be 1 to 64 letters, digits, points, hyphens or underscores and begin with a letter"
            " or digit, got {got}",
            key=key,
            got=show(value) or '""',
        )
    return value


def _words(section: Section) -> Words:
    words = Words(*(_sentence(section, language) for language in ("en", "zh")))
    section.done()
    return words


def _sentence(section: Section, key: str) -> str:
    value = str(section.take(key, str)).strip()
    if not value:
        raise section.error(key, "{key} must not be empty", key=key)
    return value


def _inputs(top: Section) -> tuple[Input, ...]:
    table = top.table("inputs")
    if len(table.data) > MAX_INPUTS:
        raise top.error("inputs", "at most {limit} inputs, got {got}", limit=MAX_INPUTS, got=len(table.data))
    return tuple(_input(table, name) for name in table.data)


def _input(table: Section, name: str) -> Input:
    section = table.table(name)
    taken = {*KEYWORDS, *FUNCTIONS, "date", "time", SCORE, SCORE_REASONS}
    if not _NAME.fullmatch(name) or name in taken:
        raise table.error(
            name,
            "an input's name must be a word of letters, digits and underscores that begins with a letter and"
            " is not a word of the language, got {got}",
            got=show(name),
        )
    kind = section.choose("type", TYPES)
    missing = section.choose("missing", ("refuse", "review", "allow"), "review")
    words = _words(section.table("words"))
    low, high = _range(section, kind)
    allowed = section.texts("allowed")
    if allowed and kind not in {"text", "texts"}:
        raise section.error("allowed", "allowed is for the types text and texts, got {got}", got=kind)
    section.done()
    return Input(name, kind, missing, words, low, high, allowed)


def _range(section: Section, kind: str) -> tuple[float, float]:
    ends = []
    for key, default in (("minimum", -LARGEST), ("maximum", LARGEST)):
        value = float(section.take_or(key, float, default))
        if section.has(key) and kind != "number":
            raise section.error(key, "{key} is for the type number, got {got}", key=key, got=kind)
        if not -LARGEST <= value <= LARGEST:
            raise section.error(key, "{key} must be from -1e15 to 1e15", key=key)
        ends.append(value)
    if ends[0] > ends[1]:
        raise section.error("maximum", "maximum must not be below minimum")
    return ends[0], ends[1]


def _card_file(top: Section) -> str | None:
    section = top.data.get("score")
    name = section.get("card") if isinstance(section, dict) else None
    return name if isinstance(name, str) else None


def _score(top: Section, files: Mapping[str, bytes]) -> tuple[ScoreSource, Cutoff | None]:
    section, cutoff = top.table("score"), top.table("cutoff")
    if not top.has("score"):
        if top.has("cutoff"):
            raise top.error("cutoff", "cut-offs need a section score that says where the score comes from")
        return ScoreSource(), None
    source = section.choose("source", ("input", "card"))
    # beside a given score a card is optional: it lends its words to the reasons
    card = _card(section, files) if source == "card" or section.has("card") else None
    reasons = section.take_or("reasons", int, 4)
    if not 0 <= reasons <= MAX_REASONS:
        raise section.error(
            "reasons", "reasons must be from 0 to {limit}, got {got}", limit=MAX_REASONS, got=reasons
        )
    missing = section.choose("missing", ("skip", "review", "decline"), "review")
    section.done()
    return ScoreSource(source, card, reasons, missing), _cutoff(top, cutoff)


def _cutoff(top: Section, section: Section) -> Cutoff:
    if not top.has("cutoff"):
        raise top.error("score", "a strategy with a score needs a section cutoff")
    approve, review = (float(section.take(key, float)) for key in ("approve_from", "review_from"))
    for key, value in (("approve_from", approve), ("review_from", review)):
        if not -LARGEST <= value <= LARGEST:
            raise section.error(key, "{key} must be from -1e15 to 1e15", key=key)
    if review > approve:
        raise section.error(
            "review_from",
            "review_from must not be above approve_from ({approve}), got {got}",
            approve=approve,
            got=review,
        )
    section.done()
    return Cutoff(approve, review)


def _card(section: Section, files: Mapping[str, bytes]) -> scorecard.Scorecard:
    name = str(section.take("card", str))
    if name in _FILES or not name.endswith(".json"):
        raise section.error("card", "card must name a .json file, got {got}", got=show(name))
    if name not in files:
        raise section.error(
            "card", "there is no file {got}{hint}", got=show(name), hint=near_hint(name, files)
        )
    try:
        return scorecard.from_json(files[name])
    except DataError as error:
        raise DataError("{file}: {problem}", file=name, problem=error) from error


def _implied(score: ScoreSource, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
    """Inputs that nobody declares: the score and its reasons when they are given; the card's are checked."""
    if score.computing is not None:
        _card_inputs(score.computing, inputs)
    if score.source != "input":
        return ()
    return (
        Input(SCORE, "number", "allow", Words("score", "评分")),
        Input(SCORE_REASONS, "texts", "allow", Words("reasons of the score", "评分原因")),
    )


def _card_inputs(card: scorecard.Scorecard, inputs: tuple[Input, ...]) -> None:
    types = {item.name: item.type for item in inputs}
    for name in card.inputs:
        if types.get(name) != "number":
            raise PlanError(
                "strategy.toml must declare the input {name} of type number: the card {card} reads it{hint}",
                name=show(name),
                card=show(card.name),
                hint="" if name in types else near_hint(name, types),
            )


# -- rules


def _rules(
    files: Mapping[str, bytes], stage: str, known: Mapping[str, Known], *, missing: str
) -> tuple[Rule, ...]:
    file = f"{stage}.toml"
    if file not in files:
        return ()
    top = root(read_toml(files[file], file))
    sections = top.tables("rules")
    if len(sections) > MAX_RULES:
        raise top.error(
            "rules", "at most {limit} rules in a file, got {got}", limit=MAX_RULES, got=len(sections)
        )
    top.done()
    return tuple(_rule(section, stage, known, missing=missing) for section in sections)


def _rule(section: Section, stage: str, known: Mapping[str, Known], *, missing: str) -> Rule:
    admission = stage == "admission"
    rule = Rule(
        id=_code(section, "id"),
        stage=stage,
        grade="prohibitive" if admission else section.choose("grade", GRADES),
        condition=checked_condition(section.source("require" if admission else "when"), known),
        missing=section.choose("missing", _POLICIES, missing),
        words=_words(section.table("words")),
        file=section.document.file,
        line=section.line,
    )
    section.done()
    return rule


def _unique(rules: tuple[Rule, ...]) -> None:
    first: dict[str, Rule] = {}
    for rule in rules:
        other = first.setdefault(rule.id, rule)
        if other is not rule:
            raise PlanError(
                PLACE + "the id {id} is used twice, first in {first} at line {first_line}",
                file=rule.file,
                line=rule.line,
                column=1,
                id=rule.id,
                first=other.file,
                first_line=other.line,
            )


def _words_file(files: Mapping[str, bytes]) -> dict[str, Words]:
    if "words.toml" not in files:
        return {}
    top = root(read_toml(files["words.toml"], "words.toml"))
    table = top.table("reasons")
    top.done()
    return {code: _words(table.table(code)) for code in table.data}


# -- revising


def revise_files(
    files: Mapping[str, bytes], changes: Mapping[Path, str | float], *, card: scorecard.Scorecard | None
) -> dict[str, bytes]:
    """The files with some values of ``strategy.toml`` and the card replaced; all else byte for byte.

    Raises:
        PlanError: a value that is not written, or a card where the strategy reads none.
    """
    document = read_toml(files["strategy.toml"], "strategy.toml")
    text = document.text
    for path, value in sorted(changes.items(), key=lambda item: -document.spans.get(item[0], (0, 0))[0]):
        if path not in document.spans:
            raise PlanError("strategy.toml has no {key} that could be changed", key=".".join(map(str, path)))
        start, end = document.spans[path]
        text = text[:start] + _written(value) + text[end:]
    revised = dict(files)
    if card is not None:
        written = _card_file(root(document))
        name = written or "card.json"
        revised[name] = scorecard.to_json(card).encode()
        text = text if written else _with_card(text, name)
    return revised | {"strategy.toml": text.encode()}


def _with_card(text: str, name: str) -> str:
    """Name a card right below the header of the section score."""
    document = read_toml(text.encode(), "strategy.toml")
    start, end = document.spans.get(("score",), (0, 0))
    if not text.startswith("[", start) or end == 0:
        raise PlanError("strategy.toml has no section [score] that could name a card")
    return f"{text[:end]}\ncard = {_written(name)}{text[end:]}"


def _written(value: str | float) -> str:
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()  # JSON's escapes are TOML's
    return repr(int(value) if float(value).is_integer() else float(value))
