"""What a party can say about a plan before anyone is called: would its own part work, and what is asked?"""

import msgspec
import pyarrow as pa

from tongzhou.data.findings import Finding
from tongzhou.data.profile import check
from tongzhou.errors import DataError, GrantError, NotFoundError, PeerError, PlanError, TongzhouError
from tongzhou.node.home import Home
from tongzhou.node.job_follow import grant_request
from tongzhou.node.plan import Plan, plan_digest
from tongzhou.node.tables import load_table
from tongzhou.parties.grants import Grant, GrantRequest
from tongzhou.parties.names import near_name
from tongzhou.parties.times import Clock, utc_now
from tongzhou.secure.lattice import require_library

__all__ = ["JobCheck", "check_job"]


# The kind, and so the exit code, of what stops a run; other findings are about the data.
_KINDS: dict[str, type[TongzhouError]] = {
    "column": PlanError,
    "grant": GrantError,
    "identifier": PlanError,
    "rows": DataError,
    "table": NotFoundError,
    "trust": PeerError,
}


class JobCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A plan held against one institution.

    Attributes:
        plan: name of the plan.
        digest: what all parties compare.
        party: who looked.
        role: its role.
        requests: what is asked of each provider.
        grant: the own grant that would allow it, on the provider's side.
        findings: what would stop or spoil the run, errors first.
    """

    plan: str
    digest: str
    party: str
    role: str
    requests: dict[str, GrantRequest]
    grant: Grant | None
    findings: list[Finding]

    def refusal(self) -> TongzhouError | None:
        """The first finding that would stop the run, as an error of its kind; none if nothing would."""
        for finding in self.findings:
            if finding.severity == "error":
                return _KINDS.get(finding.rule, DataError)(finding.template, **finding.values)
        return None


def check_job(home: Home, plan: Plan, *, clock: Clock = utc_now) -> JobCheck:
    """Hold a plan against the own tables, label, grants and trusted partners; nothing is sent or changed.

    Args:
        home: the institution that looks.
        plan: the plan.
        clock: where the time of the grant's check comes from.

    Raises:
        PlanError: the institution has no role in the plan.
    """
    role = plan.role(home.party_id)
    findings: list[Finding] = []
    # In mode local one process holds both tables; otherwise an owner answers for its own.
    owners = (
        plan.owners if plan.mode == "local" else [party for party in plan.owners if party == home.party_id]
    )
    for party in owners:
        findings += _check_table(home, plan, party)
    grant = None
    if plan.mode == "pair":
        findings += _check_library()
    if plan.mode != "local":
        findings += _check_trust(home, plan)
        if role not in ("asker", "helper"):
            try:
                grant = home.grants.find(grant_request(plan, plan.job, home.party_id), clock())
            except GrantError as error:
                findings.append(_error("grant", error))
    return JobCheck(
        plan=plan.name,
        digest=plan_digest(plan),
        party=home.party_id,
        role=role,
        requests={party: grant_request(plan, plan.job, party) for party in plan.parties.providers},
        grant=grant,
        findings=sorted(findings, key=lambda finding: finding.severity != "error"),
    )


def _check_library() -> list[Finding]:
    try:
        require_library()
    except PlanError as error:
        return [_error("mode", error)]
    return []


def _check_table(home: Home, plan: Plan, party: str) -> list[Finding]:
    wanted = plan.tables[party]
    try:
        record, table = load_table(home, wanted.table)
    except TongzhouError as error:
        return [_error("table", error)]
    identifier = plan.match.identifier[party]
    findings = [
        _missing(wanted.table, column, table)
        for column in (identifier, *wanted.columns, *([wanted.label] if wanted.label else []))
        if column not in table.column_names
    ]
    if findings:
        return findings
    if (record.identifier, record.kind) != (identifier, plan.match.kind):
        findings.append(
            _finding(
                "identifier",
                "table {table} was added with identifier {got} of kind {kind}; "
                "the plan says {wanted} of kind {wanted_kind}",
                table=wanted.table,
                got=record.identifier,
                kind=record.kind,
                wanted=identifier,
                wanted_kind=plan.match.kind,
            )
        )
    if record.rows < plan.match.minimum_rows:
        findings.append(
            _finding(
                "rows",
                "table {table} has {rows} rows, fewer than match.minimum_rows {least}",
                table=wanted.table,
                rows=record.rows,
                least=plan.match.minimum_rows,
            )
        )
    return findings + check(table, identifier, wanted.label, wanted.columns)


def _check_trust(home: Home, plan: Plan) -> list[Finding]:
    findings = []
    for party in plan.members:
        if party == home.party_id:
            continue
        try:
            home.trust.get(party)
        except NotFoundError as error:
            findings.append(_error("trust", error))
    return findings


def _missing(table: str, column: str, found: pa.Table) -> Finding:
    near = near_name(column, found.column_names)
    if near is not None:
        return _finding(
            "column",
            "table {table} has no column {column}; did you mean {near}?",
            table=table,
            column=column,
            near=near,
        )
    return _finding("column", "table {table} has no column {column}", table=table, column=column)


def _error(rule: str, error: TongzhouError) -> Finding:
    values = {key: value if isinstance(value, int) else str(value) for key, value in error.values.items()}
    return _finding(rule, error.template, **values)


def _finding(rule: str, template: str, **values: str | int) -> Finding:
    return Finding(rule=rule, severity="error", template=template, values=values)
