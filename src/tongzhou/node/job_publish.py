"""Step `publish`: the trained card becomes a model file at every owner that may know it."""

import hashlib
import math

from tongzhou.errors import StorageError
from tongzhou.node.files import read_file
from tongzhou.node.job_binning import column_meaning
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_faults import from_peer
from tongzhou.node.job_messages import Published
from tongzhou.node.job_states import BinState, PublishState, SelectState, TrainState
from tongzhou.node.models import save_model
from tongzhou.parties.times import parse_utc, utc_text
from tongzhou.risk.scorecard import CardInput, Scale, Scorecard, build_scorecard

__all__ = ["joint_card", "model_name", "publish_step"]

_CARD_BYTES_MAX = 16 << 20


def publish_step(context: JobContext) -> tuple[PublishState | None, dict[str, object]]:
    """Write the card where the grant lets it be known; both owners must arrive at the same digest."""
    created = _agree_time(context)
    opening = context.plan.openings.card
    if not context.is_owner:
        told, _ = context.party.link("asker").recv("publish.digest", Published)
        return None, {"card": opening, "model_digest": told.digest}
    digest = "closed"
    if opening != "shared":
        card = joint_card(context, context.state("train", TrainState), created)
        own = hashlib.sha256(read_file(save_model(context.home, card), _CARD_BYTES_MAX)).hexdigest()
        if opening == "both":
            digest = own
    if context.role == "asker":
        context.tell_helper("publish.digest", Published(digest))
    return PublishState(model_name(context), digest), {"card": opening, "model_digest": digest}


def model_name(context: JobContext) -> str:
    """Name of the model that a run leaves, without the ending ``.json``: plan and run, its version."""
    return f"{context.plan.name}@{context.run_id}.card"


def joint_card(context: JobContext, trained: TrainState, created: str) -> Scorecard:
    """The card as far as this owner knows it: whole, or its own part.

    An own part carries the own part of the intercept; the parts of both owners add up to the whole logit, and
    their points to the whole score: the asker's part holds the points that every client starts from.
    """
    settings, plan = context.plan.card, context.plan
    scale = Scale(settings.pdo, settings.base_points, settings.base_odds)
    if plan.openings.card == "own" and context.role == "provider":
        scale = Scale(settings.pdo, scale.factor * math.log(settings.base_odds), settings.base_odds)
    names = [name for name in (*trained.asker, *trained.provider) if name in trained.coefficients]
    inputs = [_card_input(context, trained, name) for name in names]
    provenance = {
        "run": context.run_id,
        "plan": context.digest,
        "mode": plan.mode,
        "part": "whole" if plan.openings.card == "both" else context.home.party_id,
    }
    return build_scorecard(
        plan.name,
        inputs,
        sum(trained.intercept.values()),
        scale=scale,
        version=context.run_id,
        created=created,
        provenance=provenance,
    )


def _card_input(context: JobContext, trained: TrainState, name: str) -> CardInput:
    binned = context.state("bin", BinState)
    own = {variable.name: variable for variable in binned.own}
    asker, provider = context.plan.owners
    owner = asker if name in trained.asker else provider
    if name in own:
        table, meaning = own[name].table, column_meaning(context, name)
    else:
        offers = (*binned.offers, *context.state("select", SelectState).offers)
        offer = next(offer for offer in offers if offer.name == name)
        if offer.variable is None:
            raise StorageError("the bins of {column} were not opened to this owner", column=name)
        table, meaning = offer.variable.table, offer.meaning
    return CardInput(table.bins, table.woe, trained.coefficients[name], owner, meaning)


def _agree_time(context: JobContext) -> str:
    """One time for the model on all sides: when the asker began the run, the same at every attempt."""
    if context.role != "asker":
        asker = context.party.link("asker")
        told, _ = asker.recv("publish.created", str)
        with from_peer(asker.peer):
            return utc_text(parse_utc(told, "publish.created"))
    created = context.home.store.run(context.run_id).created
    context.tell("publish.created", created)
    return created
