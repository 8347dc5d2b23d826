"""The steps of a scorecard job. Every party runs the same step; what a role does differently stands in it.

A step returns its state (saved by this party before the next step begins) and the facts that all parties
may know and must agree on.
"""

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.node.job_binning import bin_step, column_meaning, receive_offers
from tongzhou.node.job_boosting import boost_score_step, boost_step
from tongzhou.node.job_common import join_step, size_step
from tongzhou.node.job_consents import consent_roots, covered_places, keeps_consents, recheck_consents
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_messages import Kept, MatchFacts
from tongzhou.node.job_publish import publish_step
from tongzhou.node.job_states import BinState, MatchState, SelectState, VariableOffer
from tongzhou.node.job_training import score_step, train_step
from tongzhou.node.plan_jobs import JOB_RULES
from tongzhou.risk.selection import Candidate, select_variables
from tongzhou.secure.common_to_all import PartiesMatchTask
from tongzhou.secure.matching import MatchSettings
from tongzhou.secure.tasks import MatchTask

__all__ = ["PLAYERS", "Played", "held_out_rows", "match_step", "recheck_matched", "select_step"]

Matching = MatchTask | PartiesMatchTask
Played = tuple[Struct | None, dict[str, object]]
_SPLIT_BYTES: Final = 8


def match_step(context: JobContext) -> Played:
    """Find the common clients, and set the same share aside on both sides."""
    plan, settings = context.plan, MatchSettings(context.minimum_rows, context.run_id)
    task: Matching = MatchTask(settings, plan.match.protocol, _progress(context))
    if len(plan.parties.providers) > 1:
        task = PartiesMatchTask(settings)
    if not context.is_owner:
        task.run(context.seat, None)
        told, _ = context.party.link("asker").recv("match.facts", MatchFacts)
        return None, _facts(context, told)
    identifiers = context.identifiers()
    allowed = covered_places(context, identifiers)
    places = allowed[_matched(context, task, [identifiers[place] for place in allowed])]
    matched = [identifiers[place] for place in places]
    roots = consent_roots(context, matched)
    held_out = _set_aside(context, matched)
    facts = MatchFacts(int(held_out.sum()), len(places), int((~held_out).sum()), roots)
    if (
        "holdout" in JOB_RULES[plan.job].sections
        and context.job.kind != "score"
        and min(facts.held_out_rows, facts.training_rows) == 0
    ):
        raise DataError(
            "{rows} matched rows are too few to set {share:g} of them aside: one side of the split is empty",
            rows=len(places),
            share=plan.holdout.share,
        )
    return MatchState(places, held_out), _facts(context, _agree_facts(context, facts))


def _agree_facts(context: JobContext, own: MatchFacts) -> MatchFacts:
    """The asker tells what every party may know; another owner holds it against what it found itself."""
    if context.role == "asker":
        context.tell("match.facts", own)
        return own
    told, _ = context.party.link("asker").recv("match.facts", MatchFacts)
    mine = {party: told.consent_roots.get(party) for party in own.consent_roots}
    if msgspec.structs.replace(told, consent_roots=mine) != own:
        raise ProtocolError(
            "{peer} tells other facts of the match than were found here", peer=context.party.names["asker"]
        )
    return told


def _set_aside(context: JobContext, identifiers: list[str]) -> NDArray[np.bool_]:
    """Which of the matched rows are kept for evaluation."""
    if "holdout" in JOB_RULES[context.plan.job].sections and context.job.kind != "score":
        return held_out_rows(identifiers, context.plan.holdout.seed, context.plan.holdout.share)
    # Every applicant is new to the card, so reasons may be told for each of them; a match sets nothing aside.
    return np.full(len(identifiers), context.job.kind == "score", dtype=np.bool_)


def _facts(context: JobContext, facts: MatchFacts) -> dict[str, object]:
    """What every party may know of a match; a job that only matches has no other rows to tell of."""
    found: dict[str, object] = dict(msgspec.to_builtins(facts))
    if context.job.kind == "match":
        found = {"matched_rows": facts.matched_rows}
    found.pop("consent_roots", None)
    return found | {f"consent_root.{party}": root for party, root in facts.consent_roots.items()}


def recheck_matched(context: JobContext) -> None:
    """Before a later step: stop if clients who were matched have taken their consent back.

    Raises:
        GrantError: some have.
    """
    if not keeps_consents(context):
        return
    places = context.state("match", MatchState).places
    identifiers = context.identifiers()
    recheck_consents(context, [identifiers[place] for place in places])


def _matched(context: JobContext, task: Matching, identifiers: list[str]) -> NDArray[np.int64]:
    """Places of the common identifiers. That none of the applicants is common is a result like any other."""
    try:
        places = task.run(context.seat, identifiers)
    except DataError as error:
        # Only the refusal for want of common identifiers names the minimum; by then all parties know of it.
        if context.job.kind != "score" or "minimum" not in error.values:
            raise
        return np.empty(0, dtype=np.int64)
    if places is None:
        raise ProtocolError("matching gave no places")
    return places


def _progress(context: JobContext) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        context.heed()
        context.progress("match", done, total)

    return tell


def held_out_rows(identifiers: list[str], seed: str, share: float) -> NDArray[np.bool_]:
    """Which clients are set aside: a hash of seed and identifier below the share, the same on both sides."""
    limit = int(share * 2 ** (8 * _SPLIT_BYTES))
    prefix = b"tongzhou/holdout/" + seed.encode() + b"/"
    return np.array(
        [
            int.from_bytes(hashlib.sha256(prefix + one.encode()).digest()[:_SPLIT_BYTES], "big") < limit
            for one in identifiers
        ],
        dtype=np.bool_,
    )


def select_step(context: JobContext) -> Played:
    """The asker chooses the variables by information value, and tells the others."""
    if context.role == "asker":
        state = _select(context)
        context.tell("select.kept", Kept(state.asker, state.provider))
    else:
        kept, _ = context.party.link("asker").recv("select.kept", Kept)
        state = SelectState(kept.asker, kept.provider)
    _known(context, state)
    if context.plan.openings.card == "both" and context.is_owner:
        state = _share_own_bins(context, state)
    facts: dict[str, object] = {"kept_asker": len(state.asker), "kept_provider": len(state.provider)}
    return (state if context.is_owner else None), facts


def _select(context: JobContext) -> SelectState:
    binned = context.state("bin", BinState)
    candidates = [Candidate(variable.name, variable.table.iv) for variable in binned.own]
    names = {variable.name for variable in binned.own}
    for offer in binned.offers:
        if offer.name in names:
            raise DataError(
                "column {column} is named by both owners; give one of them another name in its table",
                column=offer.name,
            )
        candidates.append(Candidate(offer.name, offer.iv))
    selection = select_variables(candidates, min_iv=context.plan.selection.min_iv)
    kept = [candidate.name for candidate in selection.kept]
    asker = tuple(name for name in (v.name for v in binned.own) if name in kept)
    provider = tuple(offer.name for offer in binned.offers if offer.name in kept)
    if not asker or not provider:
        raise DataError(
            "no variable of {party} reaches an information value of {least:g}; lower selection.min_iv or "
            "bring other columns",
            party=context.plan.parties.provider if asker else context.plan.parties.asker,
            least=context.plan.selection.min_iv,
        )
    reasons = {dropped.name: dropped.reason for dropped in selection.dropped}
    return SelectState(asker, provider, reasons)


def _share_own_bins(context: JobContext, state: SelectState) -> SelectState:
    """Where both learn the card, the asker tells the provider the bins of its kept variables."""
    context.party.record("bins of the asker's kept variables", len(state.asker), ("provider",), "grant: card")
    if context.role == "provider":
        offers = receive_offers(context, "select.offers")
        if tuple(offer.name for offer in offers) != state.asker:
            raise ProtocolError(
                "{peer} sent bins of other variables than it kept", peer=context.party.peer.peer
            )
        return msgspec.structs.replace(state, offers=offers)
    own = {variable.name: variable for variable in context.state("bin", BinState).own}
    offers = tuple(
        VariableOffer(name, own[name].table.iv, own[name], column_meaning(context, name))
        for name in state.asker
    )
    context.party.peer.send("select.offers", offers)
    return state


def _known(context: JobContext, state: SelectState) -> None:
    """The kept variables must be columns of the plan, each once."""
    for party, kept in zip(context.plan.owners, (state.asker, state.provider), strict=True):
        if len(set(kept)) != len(kept):
            raise ProtocolError("the selection names a column of {party} twice", party=party)
        unknown = set(kept) - set(context.plan.tables[party].columns)
        if unknown:
            raise ProtocolError(
                "the selection names {column}, which the plan does not give to {party}",
                column=min(unknown),
                party=party,
            )


PLAYERS: Final[dict[str, Callable[[JobContext], Played]]] = {
    "match": match_step,
    "bin": bin_step,
    "select": select_step,
    "train": train_step,
    "score": score_step,
    "publish": publish_step,
    "size": size_step,
    "join": join_step,
    "boost": boost_step,
    "boost-score": boost_score_step,
}
"""What each step does."""
