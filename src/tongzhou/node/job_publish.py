"""Step `publish`: the trained card becomes a model file at every owner that may know it."""

import hashlib
import os
from pathlib import Path

from tongzhou.errors import StorageError
from tongzhou.node.job_binning import column_meaning
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_states import BinState, PublishState, SelectState, TrainState
from tongzhou.parties.times import utc_text
from tongzhou.risk.scorecard import CardInput, Scale, Scorecard, build_scorecard, to_json

__all__ = ["joint_card", "model_name", "publish_step", "write_model"]


def publish_step(context: JobContext) -> tuple[PublishState | None, dict[str, object]]:
    """Write the card where the grant lets it be known; both owners must arrive at the same digest."""
    created = _agree_time(context)
    opening = context.plan.openings.card
    if not context.is_owner:
        digest, _ = context.party.link("asker").recv("publish.digest", str)
        return None, {"card": opening, "model_digest": digest}
    trained = context.state("train", TrainState)
    name = model_name(context)
    digest = "closed"
    if opening != "shared":
        card = joint_card(context, trained, created)
        own = write_model(context.home.models / f"{name}.json", to_json(card))
        if opening == "both":
            digest = own
    if context.role == "asker":
        context.party.link("helper").send("publish.digest", digest)
    return PublishState(name, digest), {"card": opening, "model_digest": digest}


def model_name(context: JobContext) -> str:
    """Name of the model that a run leaves: the plan's name and the run."""
    return f"{context.plan.name}-{context.run_id}"


def joint_card(context: JobContext, trained: TrainState, created: str) -> Scorecard:
    """The card as far as this owner knows it: whole, or its own part.

    An own part carries the own part of the intercept; the parts of both owners add up to the whole logit.
    """
    settings, plan = context.plan.card, context.plan
    scale = Scale(settings.pdo, settings.base_points, settings.base_odds)
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
    """One time for the model on all sides: the asker's."""
    if context.role != "asker":
        told, _ = context.party.link("asker").recv("publish.created", str)
        return told
    created = utc_text(context.clock())
    for role in ("provider", "helper"):
        context.party.link(role).send("publish.created", created)
    return created


def write_model(path: Path, text: str) -> str:
    """Write a model file whole or not at all; returns its SHA-256.

    Raises:
        StorageError: the disk does not take it.
    """
    data = text.encode()
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise StorageError("model {file} cannot be written: {cause}", file=path, cause=error) from error
    return hashlib.sha256(data).hexdigest()
