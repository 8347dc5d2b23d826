"""The demonstration's figures about who did what: parties, grant, steps, leakage, receipts, verification."""

import os
import platform
import shutil
import sys
from collections import Counter
from pathlib import Path

from tongzhou import __version__
from tongzhou.data.example import MEANINGS
from tongzhou.demo.decisions import Decided
from tongzhou.demo.institutions import CAST, TABLES, Institutions
from tongzhou.demo.results import Results
from tongzhou.demo.verification import Verified
from tongzhou.evidence.note import parse_note
from tongzhou.i18n import resay
from tongzhou.node.home import Home
from tongzhou.node.job_journal import StepSummary
from tongzhou.node.statements import statement_of
from tongzhou.parties.card import fingerprint, issue_card, read_card
from tongzhou.parties.grants import Grant
from tongzhou.parties.times import utc_now
from tongzhou.report import figures as f
from tongzhou.report.figures import Words

__all__ = [
    "STEP_WORDS",
    "decisions_figure",
    "grant_figure",
    "leakage_figures",
    "limits",
    "matching_figure",
    "parties_figure",
    "receipt_figure",
    "run_figure",
    "step_costs",
    "step_words",
    "try_next",
    "verification_figure",
]

STEP_WORDS = {
    "match": Words("Matching", "样本对齐"),
    "bin": Words("Joint binning", "联合分箱"),
    "select": Words("Selection", "变量筛选"),
    "train": Words("Joint training", "联合训练"),
    "score": Words("Joint scoring", "联合打分"),
    "publish": Words("Publishing the card", "发布评分卡"),
    "witness": Words("Cosigning the logs", "日志互签"),
}
_HOLDS = {
    "bank": Words("its table; the card, its clients' scores and reasons", "自有数据；评分卡、客户得分与原因"),
    "cardnet": Words("its table; the card", "自有数据；评分卡"),
    "helper": Words("its own log, nothing else", "仅有自己的日志"),
}
_OPENINGS = [
    Words("rows and events of each bin: to both owners", "各分箱的客户数与违约数：双方可见"),
    Words("the finished card: to both owners", "完成的评分卡：双方可见"),
    Words("up to four reasons for each decision: to the bank", "每笔决策至多四条原因：银行可见"),
    Words("standard errors of the training: to both owners", "训练的标准误：双方可见"),
]
_EXAMPLES_EACH = 2


def step_words(step: str) -> Words:
    """Name of a step for people."""
    return STEP_WORDS.get(step, Words(step, step))


def run_figure(cast: Institutions, results: Results, wall_s: float, cpu_s: float) -> f.RunFigure:
    """Which run this was."""
    record = cast.home("bank").store.run(results.joint.run_id)
    return f.RunFigure(
        run_id=record.run_id,
        plan_name=results.plan.name,
        purpose=Words("credit scorecard", "信用评分卡"),
        mode=results.plan.mode,
        started=record.created,
        finished=record.finished or record.created,
        wall_s=wall_s,
        cpu_s=cpu_s,
        software=f"tongzhou {__version__}",
        machine=f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}",
    )


def parties_figure(cast: Institutions, results: Results) -> list[f.PartyFigure]:
    """The three institutions and what each brought."""
    found = []
    for member in CAST:
        home = cast.home(member.party_id)
        table = results.plan.tables.get(member.party_id)
        card = read_card(issue_card(home.identity, home.settings.endpoint, utc_now()))
        names = () if table is None else (*table.columns, *((table.label,) if table.label else ()))
        found.append(
            f.PartyFigure(
                party_id=member.party_id,
                name=Words(member.en, member.zh),
                role=member.role,
                fingerprint=fingerprint(card),
                rows=None if table is None else home.store.table(table.table).rows,
                columns=[f.Column(name=name, meaning=_meaning(name)) for name in names],
                holds=_HOLDS[member.party_id],
            )
        )
    return found


def grant_figure(cast: Institutions, grant: Grant, refusal: str) -> f.GrantFigure:
    """What was allowed, and the refusal before it was."""
    return f.GrantFigure(
        grant_id=grant.grant_id,
        provider=grant.provider,
        askers=list(grant.askers),
        helpers=list(grant.helpers),
        purpose=Words("credit scorecard", "信用评分卡"),
        legal_basis=Words(grant.legal_basis, "客户在信用卡协议中的同意"),
        table=grant.table,
        columns=list(grant.columns),
        protocols=list(grant.protocols),
        openings=_OPENINGS,
        minimum_rows=grant.minimum_rows,
        minimum_bin_rows=grant.minimum_bin_rows,
        valid_from=grant.valid_from,
        valid_until=grant.valid_until,
        runs=grant.runs,
        runs_used=cast.home("cardnet").grants.runs_used(grant.grant_id),
        refusal=Words(refusal, resay(refusal, "zh")),
    )


def matching_figure(cast: Institutions, results: Results) -> f.Matching:
    """Who was found on both sides."""
    held_out, label = results.joint.held_out, results.label
    return f.Matching(
        protocol=Words(
            "Diffie–Hellman on Curve25519, no third party", "Curve25519 上的 Diffie–Hellman，无第三方"
        ),
        asker_rows=cast.home("bank").store.table(TABLES["bank"]).rows,
        provider_rows=cast.home("cardnet").store.table(TABLES["cardnet"]).rows,
        matched_rows=len(held_out),
        training_rows=int((~held_out).sum()),
        training_bad_rate=float(label[~held_out].mean()),
        held_out_rows=int(held_out.sum()),
        held_out_bad_rate=float(label[held_out].mean()),
    )


def decisions_figure(cast: Institutions, results: Results, decided: Decided) -> f.Decisions:
    """The decisions, and a few of them as examples."""
    outcomes, strategy = decided.outcomes(), decided.strategy
    label = results.label[decided.rows]
    rates = {
        outcome: [int(label[one]) for one, d in enumerate(decided.decisions) if d.outcome == outcome]
        for outcome in ("approve", "decline")
    }
    hits = Counter(reason.code for decision in decided.decisions for reason in decision.reasons)
    cutoff = strategy.cutoff
    return f.Decisions(
        strategy=strategy.name,
        version=strategy.version,
        digest=strategy.digest,
        cutoff_approve=0 if cutoff is None else round(cutoff.approve_from),
        cutoff_review=None if cutoff is None else round(cutoff.review_from),
        applicants=len(decided.decisions),
        approved=outcomes["approve"],
        reviewed=outcomes["review"],
        declined=outcomes["decline"],
        bad_rate_approved=_mean(rates["approve"]),
        bad_rate_declined=_mean(rates["decline"]),
        p50_us=decided.p50_us,
        p99_us=decided.p99_us,
        rules=[
            f.AppliedRule(
                rule_id=rule.id,
                grade=rule.grade or "admission",
                words=Words(rule.words.en, rule.words.zh),
                hits=hits[rule.id],
            )
            for rule in (*strategy.admission, *strategy.rules)
            if hits[rule.id]
        ],
        examples=_examples(cast, results, decided),
    )


def _examples(cast: Institutions, results: Results, decided: Decided) -> list[f.ExampleDecision]:
    owners = dict.fromkeys(results.joint.trained.asker, "bank")
    owners |= dict.fromkeys(results.joint.trained.provider, "cardnet")
    chosen = []
    for outcome in ("approve", "review", "decline"):
        places = [one for one, d in enumerate(decided.decisions) if d.outcome == outcome and d.reasons]
        chosen += places[:_EXAMPLES_EACH]
    return [
        f.ExampleDecision(
            applicant=place + 1,
            outcome=decided.decisions[place].outcome,
            score=round(float(decided.decisions[place].score or 0)),
            reasons=[
                f.Reason(
                    code=reason.code,
                    words=Words(reason.en, reason.zh),
                    owner=owners.get(reason.code, ""),
                    points_lost=decided.points[place].get(reason.code),
                )
                for reason in decided.decisions[place].reasons
            ],
        )
        for place in chosen
    ]


def step_costs(figures: list[dict[str, str | float | int]]) -> list[f.StepCost]:
    """Cost of each step."""
    return [
        f.StepCost(
            name=str(row["name"]),
            words=step_words(str(row["name"])),
            wall_s=float(row["wall_s"]),
            cpu_s=float(row["cpu_s"]),
            bytes=int(row["bytes"]),
            rounds=int(row["rounds"]),
        )
        for row in figures
    ]


def leakage_figures(results: Results) -> list[f.Leakage]:
    """The leakage statement of each step."""
    plan = results.plan
    roles = {member.role: member.party_id for member in CAST}
    found = []
    for step in STEP_WORDS:
        statement = statement_of(
            step,
            match=plan.match.protocol,
            bin_counts=plan.openings.bin_counts,
            card=plan.openings.card,
        )
        found.append(
            f.Leakage(
                step=step,
                learned=[(roles[role], Words(*words)) for role, words in statement.learned.items()],
                assumption=Words(*statement.assumption),
                paper=statement.paper,
            )
        )
    return found


def receipt_figure(summaries: dict[str, StepSummary]) -> f.ReceiptFigure:
    """The receipt of the last step, which names the run, the grant and the inputs."""
    signed = summaries["publish"].receipt
    receipt = signed.receipt
    commitments = [(f"{party}/{TABLES[party]}", digest) for party, digest in receipt.commitments.items()]
    commitments.append(("card", receipt.facts["model_digest"]))
    return f.ReceiptFigure(
        run_id=receipt.run_id,
        plan_digest=receipt.plan_digest,
        grant_id=receipt.grants["cardnet"],
        code_version=f"tongzhou {receipt.software}",
        commitments=commitments,
        outputs=[
            ("bank", Words("card, scores, reasons", "评分卡、得分、原因")),
            ("cardnet", Words("card", "评分卡")),
        ],
        signatures=[
            f.Signature(party=party, algorithm="Ed25519", value=token.rpartition(".")[2])
            for party, token in signed.signatures.items()
        ],
    )


def verification_figure(cast: Institutions, verified: Verified, grant_id: str) -> f.Verification:
    """The checker's word on each log, and on the tampered copy."""
    logs = [
        _log_figure(cast.home(party), other, verified)
        for party, other in (("bank", "cardnet"), ("cardnet", "bank"))
    ]
    tampered = verified.tampered
    tamper = f.Tamper(
        party="bank",
        file=str(tampered.path.relative_to(cast.folder)),
        offset=tampered.offset,
        entry=tampered.index,
        found=verified.found,
        sentence=Words(verified.sentence, resay(verified.sentence, "zh")),
    )
    return f.Verification(logs=logs, tamper=tamper, commands=try_next(cast, tampered.index, grant_id))


def _log_figure(home: Home, witness: str, verified: Verified) -> f.LogFigure:
    report = verified.reports[home.party_id]
    note = home.log.cosigned_checkpoint(quorum=1)
    lines = parse_note(note).text.split("\n")
    return f.LogFigure(
        party=home.party_id,
        checkpoint=f.Checkpoint(
            origin=lines[0],
            size=int(lines[1]),
            root=lines[2],
            text=note,
            cosignatures=[f.Cosignature(witness=witness, time=home.store.runs()[-1].finished or "")],
        ),
        entries_verified=report.entries,
        checkpoints_verified=report.checkpoints,
        verified=True,
        sentence=Words(
            f"all verify; entries: {report.entries}, checkpoints: {report.checkpoints}",
            f"{report.entries} 条记录与 {report.checkpoints} 个检查点全部通过验证",
        ),
    )


def try_next(cast: Institutions, entry: int, grant_id: str) -> list[f.TryNext]:
    """Three commands worth a minute."""
    folder, program = _short(cast.folder), _program()
    return [
        f.TryNext(
            command=f"{program} log verify --home {folder / 'bank'}",
            words=Words(
                "Check the bank's log again, entry by entry.",
                "逐条重新验证银行的日志。",
            ),
        ),
        f.TryNext(
            command=f"{program} model show --home {folder / 'cardnet'}",
            words=Words(
                "Look at the joint card that the card network holds.",
                "查看银行卡网络持有的联合评分卡。",
            ),
        ),
        f.TryNext(
            command=f"{program} grant revoke {grant_id} --home {folder / 'cardnet'}",
            words=Words(
                "Take the grant back: the bank's next run is refused.",
                "撤销授权：银行的下一次运行将被拒绝。",
            ),
        ),
    ]


def _program() -> str:
    """How the reader starts the program: by name where the shell finds it, else by its path."""
    own = Path(sys.executable).with_name("tongzhou")
    return "tongzhou" if shutil.which("tongzhou") == str(own) else str(_short(own))


def _short(path: Path) -> Path:
    """The path from where the reader stands, where that is shorter."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def limits() -> list[Words]:
    """What the figures do not say."""
    return [
        Words(
            "The helper must not collude with either owner; if it does, the shares can be joined.",
            "协助方不得与任何一方合谋，否则秘密份额可被合并。",
        ),
        Words(
            "Parties follow the protocol (semi-honest); a party that lies about its data is not detected.",
            "各方遵守协议（半诚实）；谎报自有数据不能被发现。",
        ),
        Words(
            "Sex and marital status are used because the public data holds them; many laws forbid that in a "
            "credit decision. Leave such columns out of the plan.",
            "因公开数据含有性别与婚姻状况而使用；许多法律禁止将其用于授信决策，请在计划中去掉此类字段。",
        ),
        Words(
            "A joint decision tells the card network which of its clients apply to the bank.",
            "联合决策会让卡网络知道其哪些客户向银行提出了申请。",
        ),
        Words(
            "The clients are Taiwanese card holders of 2005; the gain on other portfolios will differ.",
            "样本为 2005 年台湾信用卡客户；其他客群的增益会有所不同。",
        ),
        Words(
            "Here one machine plays all parties, so a comparison in the clear is possible; in earnest not.",
            "此处由一台机器扮演所有机构，才可能与明文结果比较；实际使用中无法比较。",
        ),
    ]


def _mean(values: list[int]) -> float | None:
    return sum(values) / len(values) if values else None


def _meaning(name: str) -> Words:
    words = MEANINGS.get(name, {})
    return Words(words.get("en", name), words.get("zh", name))
