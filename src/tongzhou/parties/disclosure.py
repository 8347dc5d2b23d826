"""What a provider lets statistics tell: how small a group, how exact a number, how many answers.

The policy is data. `tongzhou.secure.statistics` holds every answer to it, inside the protocol: what it keeps
closed is not computed in the clear anywhere.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tongzhou.errors import DataError

__all__ = ["DisclosurePolicy", "check_policy"]

_MOST_BASE = 2**31


class DisclosurePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules that every answered statistic obeys.

    Attributes:
        minimum_rows: fewest rows that an answer, or a sum or difference of answers, may be about. Empty
            groups count as small ones, so that no refusal tells that somebody is missing from a group. With 0
            or 1 there is no such rule.
        small: a table with a small cell is answered without it (and without as many others as hide it), or
            refused as a whole.
        count_base: counts are rounded to a multiple of this.
        sum_base: sums are rounded to a multiple of this, in the units of their column; 0 rounds nothing.
        largest_share: the most that the largest single contribution to a sum may be, in percent of the sum of
            absolute values; 100 allows any.
        groups: most different groups that are ever answered, those included that follow from totals: what is
            left of either owner's rows beside the groups that were asked for.
        refusals: requests refused by the contents of the data, after which nothing is answered any more: each
            refusal tells one bit.
    """

    minimum_rows: Annotated[int, Meta(ge=0, le=1_000_000, description="fewest rows of an answer")] = 10
    small: Annotated[
        Literal["suppress", "refuse"], Meta(description="leave small cells out, or refuse the request")
    ] = "suppress"
    count_base: Annotated[int, Meta(ge=1, le=10_000, description="counts are multiples of this")] = 1
    sum_base: Annotated[float, Meta(ge=0.0, le=1e12, description="sums are multiples of this; 0: exact")] = (
        0.0
    )
    largest_share: Annotated[
        int, Meta(ge=1, le=100, description="largest contribution to a sum, in percent")
    ] = 100
    groups: Annotated[int, Meta(ge=1, le=2000, description="most different groups answered")] = 500
    refusals: Annotated[int, Meta(ge=0, le=1000, description="most requests refused")] = 10


def check_policy(policy: DisclosurePolicy) -> DisclosurePolicy:
    """Return the policy if its values lie within their bounds.

    Raises:
        DataError: a value does not; the sentence names it.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(policy), DisclosurePolicy)
    except msgspec.ValidationError as error:
        raise DataError("not a disclosure policy: {reason}", reason=error) from error
