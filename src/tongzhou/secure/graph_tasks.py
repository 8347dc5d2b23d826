"""One feature over two owners' graphs as a joint job; see `tongzhou.secure.tasks`."""

from dataclasses import dataclass

from tongzhou.secure.graph import graph_feature
from tongzhou.secure.graph_clear import graph_clear
from tongzhou.secure.graph_settings import GraphInput, GraphResult, GraphSettings, check_graph, check_input
from tongzhou.secure.tasks import Seat

__all__ = ["GraphTask"]


@dataclass(frozen=True)
class GraphTask:
    """A joint feature over two graphs; see `tongzhou.secure.graph`.

    Attributes:
        settings: what all parties agree on.
    """

    settings: GraphSettings

    def run(self, seat: Seat, own: GraphInput | None) -> GraphResult | None:
        """The feature at the receivers, ``None`` elsewhere.

        Raises:
            PlanError: the settings do not fit, or the mode does not exist for this task.
            DataError: this owner's input does not fit what was agreed; nothing has been sent.
        """
        seat.require("graph")
        check_graph(self.settings)
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        if own is not None:
            check_input(self.settings, seat.party.role, own)
        return graph_feature(seat.helped_engine("graph"), self.settings, own)

    def clear(self, asker: GraphInput, provider: GraphInput) -> tuple[GraphResult, GraphResult | None]:
        """The same feature in one process."""
        check_graph(self.settings)
        check_input(self.settings, "asker", asker)
        check_input(self.settings, "provider", provider)
        found = graph_clear(self.settings, asker, provider)
        return found, found if "provider" in self.settings.roles else None
