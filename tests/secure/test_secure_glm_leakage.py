"""What each party receives in a Poisson or Gamma regression: what the statement says, and uniform words."""

from typing import Any

import numpy as np
import pytest
from glm_worlds import COLUMNS, ROWS, insured, settings
from secure_worlds import ROLES, Watch, chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure import glm
from tongzhou.secure.glm_settings import GlmBlock, Loss
from tongzhou.secure.glm_tasks import GlmTask
from tongzhou.secure.simulate import simulate
from tongzhou.wire.messages import Session

FAMILIES: list[Any] = ["poisson", "gamma"]
SEEDS = {("asker", "aided.seed"), ("provider", "aided.seed")}
TOLD = {
    "asker": {("provider", "glm.reach")},
    "provider": {("asker", "glm.reach"), ("asker", "glm.scale")},
    "helper": {("asker", "glm.scale"), ("asker", "glm.move"), ("asker", "glm.shift")},
}
MASKED = {"masked.exponential", "masked.matmul", "masked.truncate"}
# The asker's blocks are products with the provider's shares, and the other way round.
PRODUCTS = {f"product.{name}" for name in ("times", "transpose", "scale")}


def trained(family: Any, *, errors: bool = True, seed: int = 1, **changes: Any) -> tuple[Watch, Any]:
    asker, provider = insured(family, seed=seed)
    parts = {name: getattr(asker, name) for name in ("values", "names", "outcome", "exposure", "offset")}
    watch = Watch()
    task = GlmTask(settings(family), errors=errors)
    return watch, simulate("aided", task, GlmBlock(**(parts | changes)), provider, watch=watch)


def expected(role: str, family: str, *, errors: bool) -> set[tuple[str, str]]:
    """Sender and tag of everything that a role may receive."""
    if role == "helper":
        return SEEDS | TOLD["helper"]
    other = "provider" if role == "asker" else "asker"
    opened = {"squared length of the gradient", "squared size of the curvature"}
    opened.add(f"weights of the {role}'s variables")
    if errors:
        opened.add(f"covariance of the {role}'s weights")
        if family == "gamma":
            opened.add("sum of Pearson's squares")
    found = {(other, tag) for tag in MASKED | PRODUCTS | {"hide"} | {f"open.{what}" for what in opened}}
    found |= {("helper", tag) for tag in PRODUCTS}
    if role == "provider":
        found |= {("helper", f"deal.{name}") for name in ("matmul", "truncate", "exponential")}
    return found | TOLD[role]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("errors", [True, False])
def test_nothing_arrives_but_what_the_statement_says(role: str, family: Any, errors: bool) -> None:
    watch, _ = trained(family, errors=errors)
    assert watch.tags(role) == expected(role, family, errors=errors)
    for message in watch.views[role]:
        if message.arrays:
            assert message.value is None
            assert {array.dtype.str for array in message.arrays} == {"<u8"}
        else:
            assert (message.sender, message.tag) in TOLD[role] | SEEDS


@pytest.mark.parametrize("role", ["asker", "provider"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_masked_word_is_uniform(role: str, family: Any) -> None:
    """Each kind of message on its own; openings apart, which are what they are."""
    watch, _ = trained(family)
    tags = {tag for _, tag in watch.tags(role) if not tag.startswith(("open.", "glm.", "aided."))}
    assert "masked.exponential" in tags
    for tag in sorted(tags):
        words = watch.words(role, tag)
        if len(words) > 256 * 20:
            assert abs(chi_square(words)) < 6, tag


@pytest.mark.parametrize("role", ROLES)
def test_what_is_told_in_the_clear_is_as_coarse_as_stated(role: str) -> None:
    watch, outcome = trained("poisson")
    told = {m.tag: m.value for m in watch.views[role] if not m.arrays and m.tag != "aided.seed"}
    if role == "helper":
        # Of the outcome it learns a power of two only: the mean is kept from it.
        assert told["glm.scale"].mean == 1.0
        assert isinstance(told["glm.scale"].headroom, int)
        assert isinstance(told["glm.shift"], int)
        moves = [m.value for m in watch.views["helper"] if m.tag == "glm.move"]
        assert len(moves) == len(outcome.asker.gradient_norms) - 1
        for move in moves:
            assert all(isinstance(getattr(move, name), bool) for name in move.__struct_fields__)
    else:
        assert told["glm.reach"] == float(f"{told['glm.reach']:.2g}")
    if role == "provider":
        asker, _ = insured("poisson")
        assert asker.outcome is not None
        assert told["glm.scale"].mean == float(f"{asker.outcome.mean():.2g}")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_ledger_names_every_opening(family: Any) -> None:
    _, outcome = trained(family)
    for role in ROLES:
        named = {opening.what for opening in outcome.openings[role]}
        assert {"squared length of the gradient", "squared size of the curvature"} <= named
        assert {"mean count or weight, two digits", "size of residuals, a power of two"} <= named
        assert ("sum of Pearson's squares" in named) is (family == "gamma")


def test_the_helper_sees_the_same_shapes_whatever_the_data() -> None:
    """Two runs with as many steps look alike to it, message by message, but for what it is told."""
    views = []
    for seed in (1, 1):
        watch, _ = trained("gamma", seed=seed, exposure=np.full(ROWS, float(len(views) + 1)))
        views.append([message.shape for message in watch.views["helper"]])
    assert views[0] == views[1]


class _Liar:
    """A link whose far end says another reach."""

    def __init__(self, link: Any, reach: float) -> None:
        self._link, self._reach = link, reach

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, tag: str, value: Any = None, arrays: Any = ()) -> None:
        self._link.send(tag, self._reach if tag == "glm.reach" else value, arrays)


@pytest.mark.parametrize("reach", [-5.0, float("nan")])
def test_a_reach_that_is_none_is_refused(reach: float) -> None:
    """Else an owner could talk the other into a model whose exponential wrapped."""

    def lying(session: Session) -> Session:
        if session.me != "provider":
            return session
        return Session(session.me, {peer: _Liar(link, reach) for peer, link in session.links.items()})

    asker, provider = insured("poisson")
    with pytest.raises(ProtocolError, match="not a number above zero"):
        simulate("aided", GlmTask(settings("poisson")), asker, provider, watch=lying)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_statement_says_what_a_row_costs(family: Any) -> None:
    """Exactly: what remains beside the formula does not grow with the rows."""
    rest = []
    for rows in (2000, 8000):
        done = simulate("aided", GlmTask(settings(family, rows), errors=False), *insured(family, rows))
        sent = sum(link.bytes_sent for links in done.traffic.values() for link in links.values())
        evaluations = len(done.asker.gradient_norms) - 1
        matrices = sum(one.what == "squared size of the curvature" for one in done.openings["asker"])
        split, columns = COLUMNS[0] + 1, sum(COLUMNS) + 1
        first, each = 2 * columns + split + 2, 2 * columns + split + 6
        words = columns + 3 + 14 * evaluations + first + each * (matrices - 1)
        rest.append((sent - 8 * rows * words, evaluations, matrices))
    (one, *same), (other, *again) = rest
    assert same == again
    assert one == pytest.approx(other, abs=200)
    assert one < 250_000


@pytest.mark.parametrize(("mean", "headroom"), [(0.0, 3), (float("nan"), 3), (1.0, 0), (1.0, 40)])
def test_a_scale_that_no_outcome_has_is_refused(
    mean: float, headroom: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = glm.loss_of

    def lying(*given: Any) -> Loss:
        loss = honest(*given)
        return Loss(loss.p, loss.q, mean, loss.centre, headroom)

    monkeypatch.setattr(glm, "loss_of", lying)
    with pytest.raises(ProtocolError, match="a scale that no outcome has"):
        trained("poisson")
