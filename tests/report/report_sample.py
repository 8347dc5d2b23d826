"""Figures of an invented run: plausible, seeded, complete. Nothing here comes from real clients."""

import itertools
from functools import cache
from typing import Any

import numpy as np

from tongzhou.report import figures as f
from tongzhou.report.figures import Interval, Words

_COLUMNS: list[tuple[str, str, str, str, float]] = [
    ("limit", "bank", "Credit limit", "信用额度", -0.9),
    ("sex", "bank", "Sex", "性别", 0.12),
    ("education", "bank", "Education", "教育程度", 0.25),
    ("marriage", "bank", "Marital status", "婚姻状况", 0.15),
    ("age", "bank", "Age", "年龄", 0.2),
    *[
        (f"repay_{i}", "cardnet", f"Repayment delay, month −{i}", f"前 {i} 个月还款延迟", 1.9 - 0.15 * i)
        for i in range(1, 7)
    ],
    *[(f"bill_{i}", "cardnet", f"Bill, month −{i}", f"前 {i} 个月账单金额", -0.12) for i in range(1, 7)],
    *[(f"paid_{i}", "cardnet", f"Payment, month −{i}", f"前 {i} 个月还款金额", -0.6) for i in range(1, 7)],
]


def _interval(value: float, half: float = 0.011) -> Interval:
    return Interval(value, value - half, value + half)


def _metrics(auc: float, half: float) -> f.Metrics:
    return f.Metrics(
        auc=_interval(auc, half),
        ks=_interval(1.3 * (auc - 0.5) + 0.05, 1.6 * half),
        gini=_interval(2 * auc - 1, 2 * half),
    )


def _clients(shift: float, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Held-out labels and scores in points; ``shift`` is the distance of the two bells."""
    rng = np.random.default_rng(seed)
    bad = rng.random(7285) < 0.221
    logit = rng.normal(0, 1, bad.size) + rng.gamma(2.0, 0.35, bad.size) + shift * bad
    return bad, np.round(560 - 22 * logit)


def _curves(model: str, shift: float) -> tuple[f.Line, f.KsFigure, f.DistributionFigure]:
    bad, score = _clients(shift, 7)
    cuts = np.unique(score)
    good_share = np.searchsorted(np.sort(score[~bad]), cuts, side="right") / (~bad).sum()
    bad_share = np.searchsorted(np.sort(score[bad]), cuts, side="right") / bad.sum()
    gap = bad_share - good_share
    edges = np.arange(440.0, 621.0, 10.0)
    return (
        f.Line(model=model, x=[0.0, *good_share.tolist()], y=[0.0, *bad_share.tolist()]),
        f.KsFigure(
            model=model,
            score=cuts.tolist(),
            good=good_share.tolist(),
            bad=bad_share.tolist(),
            at_score=float(cuts[gap.argmax()]),
            ks=float(gap.max()),
        ),
        f.DistributionFigure(
            model=model,
            edges=edges.tolist(),
            good=np.histogram(score[~bad], edges)[0].tolist(),
            bad=np.histogram(score[bad], edges)[0].tolist(),
            cutoff=525.0,
        ),
    )


def _variable(index: int) -> f.VariableFigure:
    name, owner, en, zh, strength = _COLUMNS[index]
    rng = np.random.default_rng(100 + index)
    steps = 3 if name in {"sex", "marriage", "education"} else 6
    edges = [10_000 * 3**i for i in range(steps - 1)] if strength < 0 else list(range(steps - 1))
    woe = strength * (np.linspace(-0.6, 0.8, steps) + rng.normal(0, 0.04, steps))
    kept = abs(strength) > 0.18
    rows = rng.multinomial(17_000, rng.dirichlet(np.full(steps, 5.0)))
    labels = [
        f"≤ {edges[0]:,}",
        *[f"{a:,} – {b:,}" for a, b in itertools.pairwise(edges)],
        f"> {edges[-1]:,}",
    ]
    bins = [
        f.BinFigure(
            label=Words(label, label),
            woe=float(w),
            rows=int(n),
            event_rate=float(1 / (1 + np.exp(1.26 - w))),
            points=round(-20 * w) if kept else None,
        )
        for label, w, n in zip(labels, woe, rows, strict=True)
    ]
    if owner == "cardnet":
        bins.append(
            f.BinFigure(
                label=Words("= −2", "= −2"),
                woe=-0.31,
                rows=2104,
                event_rate=0.14,
                points=6 if kept else None,
                special=True,
            )
        )
    bins.append(
        f.BinFigure(
            label=Words("missing", "缺失"),
            woe=0.0,
            rows=0,
            event_rate=None,
            points=0 if kept else None,
            special=True,
        )
    )
    return f.VariableFigure(
        name=name,
        owner=owner,
        meaning=Words(en, zh),
        iv=float(0.25 * strength**2 + 0.004),
        bins=bins,
        kept=kept,
        dropped_because=None if kept else Words("information value below 0.02", "信息值低于 0.02"),
        direction="up" if strength > 0 else "down",
    )


def _parties() -> list[f.PartyFigure]:
    def columns(owner: str) -> list[f.Column]:
        return [f.Column(name=c[0], meaning=Words(c[2], c[3])) for c in _COLUMNS if c[1] == owner]

    return [
        f.PartyFigure(
            party_id="bank",
            name=Words("Harbour Bank", "海港银行"),
            role="asker",
            rows=26_990,
            fingerprint="3f0a 91c2 77de 0b45",
            columns=[
                *columns("bank"),
                f.Column(name="default", meaning=Words("Default next month (label)", "次月违约(标签)")),
            ],
            holds=Words(
                "its table, its own weights, the card, the decisions",
                "自有数据表、自有权重、评分卡与决策结果",
            ),
        ),
        f.PartyFigure(
            party_id="cardnet",
            name=Words("River Card Network", "江河卡组织"),
            role="provider",
            rows=27_012,
            fingerprint="b81d 4c6e 02f9 a3d7",
            columns=columns("cardnet"),
            holds=Words("its table, its own weights, the card", "自有数据表、自有权重与评分卡"),
        ),
        f.PartyFigure(
            party_id="helper",
            name=Words("Neutral helper", "中立协助方"),
            role="helper",
            fingerprint="6a55 e01f 8c3b 2290",
            holds=Words("nothing but its log", "除自己的日志外一无所有"),
        ),
    ]


def _grant() -> f.GrantFigure:
    return f.GrantFigure(
        grant_id="g-7f3a20c1",
        provider="cardnet",
        askers=["bank"],
        helpers=["helper"],
        purpose=Words("credit scorecard for card clients", "信用卡客户信用评分卡"),
        legal_basis=Words("client's written consent, contract 2026-17", "客户书面同意,合同 2026-17"),
        table="behaviour",
        columns=[c[0] for c in _COLUMNS if c[1] == "cardnet"],
        protocols=["match", "bin", "train", "score"],
        openings=[
            Words("counts per bin: to both", "分箱计数:双方可见"),
            Words("the card: to both", "评分卡:双方可见"),
            Words("up to 4 reasons per decision: to the asker", "每笔决策至多 4 条原因:结果使用方可见"),
        ],
        minimum_rows=1000,
        minimum_bin_rows=50,
        valid_from="2026-11-01T00:00:00Z",
        valid_until="2026-12-31T00:00:00Z",
        runs=3,
        runs_used=1,
        refusal=Words(
            "cardnet has no grant for bank: purpose credit-scorecard, table behaviour",
            "cardnet 没有给 bank 的授权:用途 credit-scorecard,数据表 behaviour",
        ),
    )


def _card() -> f.CardFigure:
    lines = [
        f.CardLine(
            name=c[0], owner=c[1], coefficient=0.4 + 0.3 * abs(c[4]), standard_error=0.05, p_value=0.0004
        )
        for c in _COLUMNS
        if abs(c[4]) > 0.18
    ]
    return f.CardFigure(
        name="card-clients",
        version="1",
        base_points=600,
        base_odds=20.0,
        pdo=20.0,
        offset_points=551,
        intercept=-1.2585,
        lines=lines,
    )


def _policy() -> tuple[list[f.ApprovalLevel], f.SwapFigure, f.Decisions]:
    levels = [
        f.ApprovalLevel(
            approval=a / 100,
            bad_rate_bank=0.221 - 0.13 * (1 - a / 100),
            bad_rate_joint=0.221 - 0.05 * (1 - a / 100) - 0.09 * (1 - (a / 100) ** 3),
        )
        for a in range(30, 101, 5)
    ]
    swap = f.SwapFigure(
        approval=0.7,
        currency="NT$",
        both_approved=f.SwapGroup(clients=4061, bad_rate=0.118, exposure=8.2e8, bad_exposure=8.1e7),
        swapped_in=f.SwapGroup(clients=1039, bad_rate=0.133, exposure=9.4e7, bad_exposure=1.15e7),
        swapped_out=f.SwapGroup(clients=1039, bad_rate=0.402, exposure=1.7e8, bad_exposure=6.4e7),
        both_declined=f.SwapGroup(clients=1146, bad_rate=0.501, exposure=7.9e7, bad_exposure=3.7e7),
        bad_exposure_avoided=5.25e7,
    )
    rule = f.Reason(
        code="age-limit", words=Words("Applicants under 21 need a review", "未满 21 周岁须人工复核")
    )
    late = f.Reason(
        code="repay_1",
        words=Words("Last month's repayment was late", "最近一个月还款逾期"),
        owner="cardnet",
        points_lost=38,
    )
    low = f.Reason(
        code="limit", words=Words("Low credit limit", "信用额度较低"), owner="bank", points_lost=11
    )
    paid = f.Reason(
        code="paid_2",
        words=Words("Small payment two months ago", "两个月前还款金额偏低"),
        owner="cardnet",
        points_lost=9,
    )
    decisions = f.Decisions(
        strategy="card-clients",
        version="1",
        digest="sha256:41d2c0b9aa7e5f3310cc",
        cutoff_approve=525,
        cutoff_review=505,
        applicants=1000,
        approved=701,
        reviewed=122,
        declined=177,
        bad_rate_approved=0.127,
        bad_rate_declined=0.548,
        p50_us=21.4,
        p99_us=48.9,
        rules=[
            f.AppliedRule(rule_id="age-limit", grade="restrictive", words=rule.words, hits=6),
            f.AppliedRule(
                rule_id="young-high-limit",
                grade="advisory",
                words=Words("High limit for a young client", "年轻客户额度偏高"),
                hits=19,
            ),
            f.AppliedRule(
                rule_id="three-late",
                grade="prohibitive",
                words=Words("Three months late in a row", "连续三个月逾期"),
                hits=41,
            ),
        ],
        examples=[
            f.ExampleDecision(applicant=1, outcome="approve", score=574, reasons=[low]),
            f.ExampleDecision(applicant=2, outcome="review", score=517, reasons=[rule, low, paid]),
            f.ExampleDecision(applicant=3, outcome="decline", score=468, reasons=[late, paid, low]),
        ],
    )
    return levels, swap, decisions


def _steps() -> list[f.StepCost]:
    rows = [
        ("match", "Matching", "样本对齐", 3.1, 5.2, 5_390_112, 4),
        ("bin", "Joint binning", "联合分箱", 1.2, 2.1, 18_204_000, 12),
        ("train", "Joint training", "联合训练", 0.74, 0.92, 61_022_344, 41),
        ("score", "Joint scoring", "联合打分", 0.31, 0.44, 9_120_000, 9),
        ("decide", "Decisions", "决策", 0.06, 0.06, 0, 0),
        ("evidence", "Receipts and cosignatures", "存证与见证签名", 0.4, 0.3, 42_118, 6),
    ]
    return [
        f.StepCost(name=n, words=Words(en, zh), wall_s=w, cpu_s=c, bytes=b, rounds=r)
        for n, en, zh, w, c, b, r in rows
    ]


def _leakage() -> list[f.Leakage]:
    nothing = Words("nothing", "无")
    honest = Words("semi-honest; the helper colludes with nobody", "半诚实;协助方不与任何一方串通")
    return [
        f.Leakage(
            step="match",
            learned=[
                ("bank", Words("which of its clients cardnet also has", "己方客户中哪些也在卡组织")),
                ("cardnet", Words("which of its clients the bank also has", "己方客户中哪些也在银行")),
                ("helper", Words("the sizes of both lists", "双方名单的规模")),
            ],
            assumption=Words(
                "semi-honest; decisional Diffie–Hellman, random oracle", "半诚实;DDH 假设,随机预言机"
            ),
            paper="Meadows 1986; Huberman, Franklin, Hogg 1999",
        ),
        f.Leakage(
            step="bin",
            learned=[
                ("bank", Words("bad counts per bin of the provider's columns", "提供方各列分箱的坏样本计数")),
                ("cardnet", Words("bad counts per bin of its own columns", "己方各列分箱的坏样本计数")),
                ("helper", nothing),
            ],
            assumption=honest,
            paper="Beaver 1991",
        ),
        f.Leakage(
            step="train",
            learned=[
                ("bank", Words("the card; iterations until convergence", "评分卡;收敛所需迭代次数")),
                ("cardnet", Words("the card; iterations until convergence", "评分卡;收敛所需迭代次数")),
                ("helper", Words("the shapes of the matrices", "矩阵的形状")),
            ],
            assumption=honest,
            paper="Mohassel, Zhang 2017 (SecureML)",
        ),
        f.Leakage(
            step="score",
            learned=[
                ("bank", Words("each applicant's score and reasons", "每位申请人的得分与原因")),
                ("cardnet", nothing),
                ("helper", nothing),
            ],
            assumption=honest,
            paper="Beaver 1991",
        ),
    ]


def _note(origin: str, size: int, witness: str) -> str:
    return (
        f"{origin}\n{size}\nqC5yqC9d7mD1H2o0ZJ3hXhXo0bKxgJm0k4i0vI5cEwA=\n\n"
        f"— {origin} kR1mVQv8W3m5cJH1Z1m5j8YQ0pLw7d9jz0b2x7hT5cS4uA==\n"
        f"— {witness} 9yV2mQAAAABlZ0a9f3x1c2Yk0mB8i7QpZ5o1s4t6u8w0y2A==\n"
    )


def _proof() -> tuple[f.ReceiptFigure, f.Verification]:
    run_id = "r-20261112-083005-5c1e"
    receipt = f.ReceiptFigure(
        run_id=run_id,
        plan_digest="sha256:8b1f3c77d2a94e0e4f5b6a0c1d2e3f405162738495a6b7c8d9eaf0b1c2d3e4f5",
        grant_id="g-7f3a20c1",
        code_version="tongzhou 0.1.0",
        commitments=[
            ("bank/clients", "sha256:0d9e6a51b3c4"),
            ("cardnet/behaviour", "sha256:77aa10f2e9d8"),
            ("card", "sha256:c2f0b7715e3d"),
        ],
        outputs=[
            ("bank", Words("card, scores, reasons", "评分卡、得分、原因")),
            ("cardnet", Words("card", "评分卡")),
        ],
        signatures=[
            f.Signature(
                party=p, algorithm="Ed25519", value=f"{p}-MEUCIQDx0v8b3kqS1c7ZyT5nW9hJ4rL2mP6gQ8eA0uX=="
            )
            for p in ("bank", "cardnet", "helper")
        ],
    )
    logs = [
        f.LogFigure(
            party=party,
            checkpoint=f.Checkpoint(
                origin=f"{party}.example/log",
                size=size,
                root="qC5yqC9d7mD1H2o0ZJ3hXhXo0bKxgJm0k4i0vI5cEwA=",
                text=_note(f"{party}.example/log", size, witness),
                cosignatures=[f.Cosignature(witness=witness, time="2026-11-12T08:30:41Z")],
            ),
            entries_verified=size,
            checkpoints_verified=6,
            verified=True,
            sentence=Words(
                f"{size} entries, 6 checkpoints: everything verifies",
                f"{size} 条记录、6 个检查点:全部通过验证",
            ),
        )
        for party, witness, size in (("bank", "cardnet", 14), ("cardnet", "bank", 13))
    ]
    verification = f.Verification(
        logs=logs,
        tamper=f.Tamper(
            party="bank",
            file="bank/log.tampered.db",
            offset=20_511,
            entry=9,
            found=True,
            sentence=Words(
                "entry 9 (receipt): the stored leaf differs from the payload",
                "第 9 条记录（receipt）：存储的叶子与内容不符",
            ),
        ),
        commands=[
            f.TryNext(
                command="tongzhou log verify --home demo/bank",
                words=Words(
                    "Re-derive every leaf, tree and signature of the bank's log.",
                    "重新推导银行日志的每个叶子、树与签名。",
                ),
            ),
            f.TryNext(
                command="tongzhou log prove 9 --home demo/bank > receipt.tlog-proof",
                words=Words("Write a proof file that verifies offline.", "写出可离线验证的证明文件。"),
            ),
            f.TryNext(
                command="tongzhou grant revoke g-7f3a20c1 --home demo/cardnet",
                words=Words(
                    "Take the grant back, then run the job again and read the refusal.",
                    "撤销授权后重新运行任务,查看拒绝说明。",
                ),
            ),
        ],
    )
    return receipt, verification


_LIMITS = [
    Words(
        "The helper must not collude with either owner; if it does, the shares can be joined.",
        "协助方不得与任何数据方串通,否则秘密份额可被合并。",
    ),
    Words(
        "Parties follow the protocol (semi-honest); a party that lies about its data is not detected.",
        "各方遵守协议(半诚实);谎报自有数据不能被发现。",
    ),
    Words(
        "The clients are Taiwanese card holders of 2005; the gain on other portfolios will differ.",
        "样本为 2005 年台湾信用卡客户;其他客群的增益会有所不同。",
    ),
]


@cache
def sample_figures() -> f.Figures:
    bank, joint, clear = (_curves(k, s) for k, s in (("bank", 0.62), ("joint", 1.18), ("clear", 1.18)))
    levels, swap, decisions = _policy()
    receipt, verification = _proof()
    aucs = {"bank": (0.652, 0.648), "joint": (0.771, 0.768), "clear": (0.771, 0.768)}
    return f.Figures(
        title=Words("A joint scorecard for card clients", "信用卡客户联合评分卡"),
        run=f.RunFigure(
            run_id=receipt.run_id,
            plan_name="card-clients",
            purpose=Words("credit scorecard", "信用评分卡"),
            mode="aided",
            started="2026-11-12T08:30:05Z",
            finished="2026-11-12T08:30:44Z",
            wall_s=38.6,
            cpu_s=51.3,
            software="tongzhou 0.1.0",
            machine="2 cores, Python 3.11",
        ),
        data=Words(
            "Default of credit card clients, Taiwan 2005: 30,000 clients (Yeh and Lien 2009), CC BY 4.0.",
            "2005 年台湾信用卡客户违约数据:30,000 名客户(Yeh 与 Lien,2009),CC BY 4.0。",
        ),
        parties=_parties(),
        grant=_grant(),
        matching=f.Matching(
            protocol=Words("Diffie–Hellman on a prime-order group", "素数阶群上的 Diffie–Hellman"),
            asker_rows=26_990,
            provider_rows=27_012,
            matched_rows=24_285,
            training_rows=17_000,
            training_bad_rate=0.2213,
            held_out_rows=7285,
            held_out_bad_rate=0.2209,
        ),
        models=[
            f.ModelFigure(
                key=k,
                variables=4 if k == "bank" else 16,
                training=_metrics(t, 0.009),
                held_out=_metrics(h, 0.014),
            )
            for k, (t, h) in aucs.items()
        ],
        gain=f.Gain(
            auc=Interval(0.12, 0.106, 0.134),
            ks=Interval(0.171, 0.149, 0.192),
            gini=Interval(0.24, 0.212, 0.268),
            repeats=500,
        ),
        agreement=f.Agreement(
            score_points=0.0,
            score_logit=3.1e-5,
            auc=0.0000012,
            woe=0.0,
            iv=0.0,
            coefficient=1.2e-5,
            cpu_s_protected=0.92,
            cpu_s_clear=0.55,
        ),
        roc=[bank[0], joint[0], clear[0]],
        ks=[bank[1], joint[1]],
        distributions=[bank[2], joint[2]],
        variables=[_variable(i) for i in range(len(_COLUMNS))],
        card=_card(),
        approvals=levels,
        swap=swap,
        decisions=decisions,
        steps=_steps(),
        leakage=_leakage(),
        receipt=receipt,
        verification=verification,
        limits=_LIMITS,
    )
