"""What the demonstration's run gave, and the same in the clear, which is only possible here.

An institution could never compute this comparison; the demonstration can, because it plays all of them.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.data.columns import label_column, numeric_column
from tongzhou.demo.institutions import TABLES, Institutions
from tongzhou.errors import StorageError
from tongzhou.node.job_binning import cut_fine, merge_counts
from tongzhou.node.job_states import BinState, MatchState, ScoreState, SelectState, TrainState, Variable
from tongzhou.node.plan import Plan
from tongzhou.node.states import decode_state
from tongzhou.node.tables import load_table
from tongzhou.risk.scorecard import Scale
from tongzhou.risk.selection import fit_with_signs
from tongzhou.secure.counting import BinCounts

__all__ = ["Clear", "Joint", "Results", "gather"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Joint:
    """What the run left at the bank, in the order of the bank's table: every demonstration tells the same.

    Attributes:
        run_id: the run.
        order: ``(m,)`` places of the clients, so ordered, in the order of the run.
        places: ``(m,)`` places of the matched clients in the bank's table.
        held_out: ``(m,)`` which are held out.
        own, offers: binned variables of bank and card network.
        selected, trained: kept variables and model.
        scores: logits and the partner's reasons.
    """

    run_id: str
    order: Ints
    places: Ints
    held_out: NDArray[np.bool_]
    own: tuple[Variable, ...]
    offers: tuple[Variable, ...]
    selected: SelectState
    trained: TrainState
    scores: ScoreState


@dataclass(frozen=True)
class Clear:
    """The same card from pooled data without protection.

    Attributes:
        logits: ``(m,)`` of scikit-learn's model on the clear weights of evidence.
        woe_difference, iv_difference: largest absolute differences to the joint binning.
        coefficient_difference: likewise, of the weights.
        cpu_s: CPU seconds of scikit-learn's fits, all passes together, with its default threads.
        cpu_s_one_thread: the same on one thread.
    """

    logits: Floats
    woe_difference: float
    iv_difference: float
    coefficient_difference: float
    cpu_s: float
    cpu_s_one_thread: float


@dataclass(frozen=True)
class Results:
    """Everything the tables and the report are made from.

    Attributes:
        plan: the plan.
        joint: the protected run.
        clear: the same in the clear.
        label: ``(m,)`` default of each matched client.
        exposure: ``(m,)`` credit limit of each, NT$.
        bank_logits: ``(m,)`` of the bank's own card.
        bank_variables: variables of that card.
    """

    plan: Plan
    joint: Joint
    clear: Clear
    label: NDArray[np.int8]
    exposure: Floats
    bank_logits: Floats
    bank_variables: tuple[str, ...]

    @property
    def scale(self) -> Scale:
        """Points of a logit."""
        card = self.plan.card
        return Scale(card.pdo, card.base_points, card.base_odds)

    def points(self, logits: Floats) -> Ints:
        """Whole points of logits, rounded once from the total."""
        points: Ints = np.rint(self.scale.offset - self.scale.factor * logits).astype(np.int64)
        return points


def gather(cast: Institutions, plan: Plan, run_id: str) -> Results:
    """Read what the run left, fit the bank's own card, and repeat the joint card in the clear."""
    joint = _read_joint(cast, run_id)
    bank = cast.home("bank")
    _, table = load_table(bank, TABLES["bank"])
    label = label_column(table, "default")[joint.places]
    training = ~joint.held_out
    columns = {name: numeric_column(table, name)[joint.places] for name in plan.tables["bank"].columns}
    own = {variable.name: variable for variable in joint.own}
    candidates = [name for name in columns if own[name].table.iv >= plan.selection.min_iv]
    woe = np.column_stack([_woe(own[name], columns[name]) for name in candidates])
    fit, _ = fit_with_signs(woe[training], label[training], candidates)
    kept = [candidates.index(name) for name in fit.names]
    return Results(
        plan=plan,
        joint=joint,
        clear=_repeat_in_the_clear(cast, plan, joint, label, columns),
        label=label,
        exposure=columns["limit"],
        bank_logits=woe[:, kept] @ np.asarray(fit.coefficients) + fit.intercept,
        bank_variables=tuple(fit.names),
    )


def _read_joint(cast: Institutions, run_id: str) -> Joint:
    store = cast.home("bank").store
    matched = decode_state(store.step_state(run_id, "match"), MatchState)
    binned = decode_state(store.step_state(run_id, "bin"), BinState)
    offers = tuple(offer.variable for offer in binned.offers if offer.variable is not None)
    order = np.argsort(matched.places)
    scores = decode_state(store.step_state(run_id, "score"), ScoreState)
    return Joint(
        run_id=run_id,
        order=order,
        places=matched.places[order],
        held_out=matched.held_out[order],
        own=binned.own,
        offers=offers,
        selected=decode_state(store.step_state(run_id, "select"), SelectState),
        trained=decode_state(store.step_state(run_id, "train"), TrainState),
        scores=_in_order(scores, matched.held_out, order),
    )


def _in_order(scores: ScoreState, held_out: NDArray[np.bool_], order: Ints) -> ScoreState:
    """Scores of all matched clients, and reasons of the held-out ones, in another order."""
    reasons = (np.cumsum(held_out) - 1)[order][held_out[order]]
    return ScoreState(
        scores.logits[order],
        scores.reason_rows[reasons],
        scores.reason_bins[reasons],
        scores.reason_points[reasons],
    )


def _repeat_in_the_clear(
    cast: Institutions, plan: Plan, joint: Joint, label: NDArray[np.int8], columns: dict[str, Floats]
) -> Clear:
    partner = cast.home("cardnet")
    theirs = decode_state(partner.store.step_state(joint.run_id, "match"), MatchState).places[joint.order]
    _, table = load_table(partner, TABLES["cardnet"])
    pooled = columns | {name: numeric_column(table, name)[theirs] for name in plan.tables["cardnet"].columns}
    training, protected = ~joint.held_out, {v.name: v for v in (*joint.own, *joint.offers)}
    y = label[training]
    clear = {name: _bin_in_the_clear(plan, name, pooled[name][training], y) for name in protected}
    names = (*joint.trained.asker, *joint.trained.provider)
    tried = (*names, *joint.trained.dropped)
    woe = np.column_stack([_woe(clear[name], pooled[name]) for name in tried])
    fitted = _reference(woe[training], y, _passes(len(names), len(tried)), plan.train.tolerance)
    weights = np.array(fitted.coefficients)
    ours = np.array([joint.trained.coefficients[name] for name in names])
    return Clear(
        logits=woe[:, : len(names)] @ weights + fitted.intercept,
        woe_difference=max(
            float(np.abs(np.subtract(clear[name].table.woe, protected[name].table.woe)).max())
            for name in protected
        ),
        iv_difference=max(abs(clear[name].table.iv - protected[name].table.iv) for name in protected),
        coefficient_difference=float(np.abs(weights - ours).max()),
        cpu_s=fitted.cpu_s,
        cpu_s_one_thread=fitted.cpu_s_one_thread,
    )


def _bin_in_the_clear(plan: Plan, name: str, values: Floats, label: NDArray[np.int8]) -> Variable:
    specials = {**plan.tables["bank"].specials, **plan.tables["cardnet"].specials}.get(name, ())
    minimum = 100
    fine, codes = cut_fine(name, values, specials=specials, limit=plan.binning.fine, minimum=minimum)
    counts = BinCounts(
        np.bincount(codes, minlength=fine.bin_count).astype(np.int64),
        np.bincount(codes[label == 1], minlength=fine.bin_count).astype(np.int64),
    )
    return merge_counts(fine, counts, plan.binning, minimum)


def _woe(variable: Variable, values: Floats) -> Floats:
    woe: Floats = np.array(variable.table.woe)[variable.table.bins.assign(values)]
    return woe


class _Fitted(msgspec.Struct, frozen=True):
    """What `tongzhou.demo.reference` writes."""

    cpu_s: float
    cpu_s_one_thread: float
    coefficients: list[float]
    intercept: float
    steps: int


def _passes(kept: int, tried: int) -> NDArray[np.bool_]:
    """Which columns each pass of the training used: one that was dropped is missing from the next pass on."""
    return np.array(
        [[column < kept or column >= start for column in range(tried)] for start in range(kept, tried + 1)]
    )


def _reference(
    values: Floats, label: NDArray[np.int8], passes: NDArray[np.bool_], tolerance: float
) -> _Fitted:
    """Fit with scikit-learn in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.json"
        np.savez(source, values=values, label=label, passes=passes, tolerance=tolerance)
        done = subprocess.run(  # noqa: S603 - our own module, paths of our own
            [sys.executable, "-m", "tongzhou.demo.reference", str(source), str(target)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise StorageError(
                "the comparison with scikit-learn did not run; install the demo's parts with: "
                "pip install 'tongzhou[demo]'"
            )
        return msgspec.json.decode(target.read_bytes(), type=_Fitted)
