"""The leakage statement of each step in words: who learns what, under which assumption, after which paper.

The texts are short forms of the statements that open the protocol modules; the receipt carries the English
sentence, the report both.
"""

from typing import Final

import msgspec
from msgspec import Struct

__all__ = ["STATEMENTS", "Statement", "statement_of"]


class Statement(Struct, frozen=True):
    """What a step teaches each role, beyond its own input.

    Attributes:
        learned: by role, English and Chinese.
        assumption: English and Chinese.
        paper: citation.
    """

    learned: dict[str, tuple[str, str]]
    assumption: tuple[str, str]
    paper: str


_AIDED: Final = (
    "semi-honest parties; the helper colludes with nobody; AES-256 in counter mode is pseudorandom",
    "半诚实模型；协助方不与任何一方合谋；AES-256 计数器模式为伪随机",
)
_PAIR: Final = (
    "semi-honest parties; ring learning with errors in dimension 8192 (128 bits of security); AES-256 in "
    "counter mode is pseudorandom",
    "半诚实模型；8192 维环上带误差学习（RLWE）假设（128 位安全强度）；AES-256 计数器模式为伪随机",
)
_PAIR_PAPERS: Final = {
    "bin": "Brakerski, CRYPTO 2012; Fan and Vercauteren 2012; Huang et al., USENIX Security 2022",
    "train": "Brakerski, CRYPTO 2012; Fan and Vercauteren 2012; Huang et al., USENIX Security 2022; Hao et "
    "al., NeurIPS 2022; Rathee et al., IEEE S&P 2021; own derivation of the periodised logistic",
    "score": "Brakerski, CRYPTO 2012; Fan and Vercauteren 2012",
}
"""In mode pair these steps are protected by ciphertexts, and nobody else takes part in any."""
_NOTHING: Final = ("nothing", "无")
_SHAPES: Final = ("the number of rows and columns", "行数与列数")
_BINS: Final = ("the number of rows, of variables and of their bins", "行数、变量数与各变量的分箱数")

# What the training itself tells an owner, and what the grant's opening of the card adds.
_TRAINING: Final = (
    "the event rate to two digits and how far the model was from its optimum after each step",
    "两位有效数字的违约率，以及每一步后模型距最优的程度",
)
_REACH: Final = (
    "the reach of the partner's part of a score to two digits",
    "合作方得分部分的范围（两位有效数字）",
)
_SIGNS: Final = ("which variables had a weight of the wrong sign", "哪些变量的系数符号不合理")
_OWN_WEIGHTS: Final = (
    f"its own weights with their covariance; {_SIGNS[0]}; {_REACH[0]}; ",
    f"自己变量的系数及其协方差；{_SIGNS[1]}；{_REACH[1]}；",
)
_WHOLE_CARD: Final = (
    f"the whole card: bins and weights of both owners; {_SIGNS[0]}; {_REACH[0]}; ",
    f"完整的评分卡：双方的分箱与系数；{_SIGNS[1]}；{_REACH[1]}；",
)


def _trained(asker: tuple[str, str], provider: tuple[str, str]) -> Statement:
    return Statement(
        {
            "asker": (asker[0] + _TRAINING[0], asker[1] + _TRAINING[1]),
            "provider": (provider[0] + _TRAINING[0], provider[1] + _TRAINING[1]),
            "helper": (
                "the number of rows, whether events are rare or scores reach far, the steps, which columns "
                "are dropped",
                "行数、违约是否稀少或得分范围是否很大、各步骤、哪些列被去掉",
            ),
        },
        _AIDED,
        "Beaver, CRYPTO 1991; Escudero et al., CRYPTO 2020; own derivation of the periodised logistic",
    )


_COUNT_PAIR: Final = (
    "semi-honest parties; decisional Diffie–Hellman on Curve25519; SHA-512 as a random oracle",
    "半诚实模型；Curve25519 上的判定性 Diffie–Hellman 假设；SHA-512 视为随机预言机",
)
_COUNT_AIDED: Final = (
    "semi-honest parties; the helper colludes with nobody; HMAC-SHA-256 is pseudorandom",
    "半诚实模型；协助方不与任何一方合谋；HMAC-SHA-256 为伪随机函数",
)
_TAGS: Final = (
    "both sizes and which of its keyed tags are equal; it sees tags without the key",
    "双方名单的大小以及哪些带密钥标签相同；只看到没有密钥的标签",
)


def _counted(size: tuple[str, str], assumption: tuple[str, str], paper: str) -> Statement:
    number = ("how many clients are common, unless that is below the floor", "共有客户数（低于下限时不告知）")
    told = (size[0] + number[0], size[1] + number[1])
    # Of two parties one compares, and it is the provider: the floor is there for its clients.
    compares = (f"{size[0]}the exact number of common clients", f"{size[1]}确切的共有客户数")
    return Statement(
        {"asker": told, "provider": compares if size[0] else told, "helper": _TAGS}, assumption, paper
    )


def _joined(size: tuple[str, str], assumption: tuple[str, str], paper: str) -> Statement:
    return Statement(
        {
            "asker": (
                f"{size[0]}which of its own clients are common, and the granted columns of these",
                f"{size[1]}自己的哪些客户为双方共有，以及这些客户的授权列",
            ),
            "provider": ("whether the minimum is reached", "是否达到最低共有数"),
            "helper": _TAGS,
        },
        assumption,
        paper,
    )


_TREES: Final = (
    "whose column splits each node, columns and thresholds of its own splits, and, if trees stop early, "
    "after each tree whether the loss fell",
    "每个节点由哪一方的列分裂、自己分裂的列与阈值；若提前停止，则还有每棵树后损失是否下降",
)


def _boosted(asker: tuple[str, str]) -> Statement:
    return Statement(
        {
            "asker": (asker[0] + _TREES[0], asker[1] + _TREES[1]),
            "provider": _TREES,
            "helper": (
                "the number of rows, of columns, of their bins and of trees",
                "行数、列数、分箱数与树的数量",
            ),
        },
        _AIDED,
        "Chen and Guestrin, KDD 2016; Fang et al., CIKM 2021",
    )


STATEMENTS: Final[dict[str, Statement]] = {
    "match.dh": Statement(
        {
            "asker": (
                "the size of the partner's list, and which of its own clients are common",
                "合作方名单的大小，以及自己的哪些客户为双方共有",
            ),
            "provider": (
                "the size of the asker's list, and which of its own clients are common",
                "结果使用方名单的大小，以及自己的哪些客户为双方共有",
            ),
            "helper": ("the number of common clients", "共有客户数"),
        },
        (
            "semi-honest parties; decisional Diffie–Hellman on Curve25519; SHA-512 as a random oracle",
            "半诚实模型；Curve25519 上的判定性 Diffie–Hellman 假设；SHA-512 视为随机预言机",
        ),
        "Meadows 1986; Huberman, Franklin and Hogg 1999; RFC 9380",
    ),
    "match.vole": Statement(
        {
            "asker": (
                "the size of the partner's list, and which of its own clients are common",
                "合作方名单的大小，以及自己的哪些客户为双方共有",
            ),
            "provider": (
                "the size of the asker's list, and which of its own clients are common",
                "结果使用方名单的大小，以及自己的哪些客户为双方共有",
            ),
            "helper": ("the number of common clients", "共有客户数"),
        },
        (
            "semi-honest parties; Diffie–Hellman on Curve25519; learning parity with regular noise; AES "
            "as an ideal permutation; SHA-512 as a random oracle",
            "半诚实模型；Curve25519 上的 Diffie–Hellman 假设；正则噪声的 LPN 假设；"
            "AES 视为理想置换；SHA-512 视为随机预言机",
        ),
        "Raghuraman and Rindal, CCS 2022; Boyle et al., CCS 2018 and CCS 2019",
    ),
    "match.aided": Statement(
        {
            "asker": ("which of its own clients are common", "自己的哪些客户为双方共有"),
            "provider": ("which of its own clients are common", "自己的哪些客户为双方共有"),
            "helper": (
                "both sizes and the number of common clients; it sees keyed tags without the key",
                "双方名单的大小与共有客户数；只看到没有密钥的带密钥标签",
            ),
        },
        (
            "semi-honest parties; the helper colludes with nobody; AES-CMAC is pseudorandom",
            "半诚实模型；协助方不与任何一方合谋；AES-CMAC 为伪随机函数",
        ),
        "Kamara, Mohassel, Raykova and Sadeghian, FC 2014",
    ),
    "size.pair": _counted(
        ("the size of the partner's list; ", "合作方名单的大小；"),
        _COUNT_PAIR,
        "De Cristofaro, Gasti and Tsudik, CANS 2012",
    ),
    "size.aided": _counted(("", ""), _COUNT_AIDED, "Kamara, Mohassel, Raykova and Sadeghian, FC 2014"),
    "join.pair": _joined(
        ("the size of the partner's list; ", "合作方名单的大小；"),
        _COUNT_PAIR,
        "Freedman, Ishai, Pinkas and Reingold, TCC 2005",
    ),
    "join.aided": _joined(("", ""), _COUNT_AIDED, "Kamara, Mohassel, Raykova and Sadeghian, FC 2014"),
    "bin.provider": Statement(
        {
            "asker": (
                "how many clients each fine bin of the partner holds, and each variable's information value",
                "合作方每个细分箱的客户数，以及各变量的信息值",
            ),
            "provider": (
                "how many clients of each of its bins defaulted; no single label",
                "自己各分箱中的违约客户数；不知道任何单个标签",
            ),
            "helper": _BINS,
        },
        _AIDED,
        "Chase, Ghosh and Poburinnaya, ASIACRYPT 2020 (share translation)",
    ),
    "bin.both": Statement(
        {
            "asker": (
                "how many clients each fine bin of the partner holds and how many of them defaulted",
                "合作方每个细分箱的客户数及其中违约数",
            ),
            "provider": (
                "how many clients of each of its bins defaulted; no single label",
                "自己各分箱中的违约客户数；不知道任何单个标签",
            ),
            "helper": _BINS,
        },
        _AIDED,
        "Chase, Ghosh and Poburinnaya, ASIACRYPT 2020 (share translation)",
    ),
    "select": Statement(
        {
            "asker": _NOTHING,
            "provider": ("which of its variables the asker keeps", "结果使用方保留了自己的哪些变量"),
            "helper": ("which columns of the plan are kept", "方案中的哪些列被保留"),
        },
        ("none: public by agreement", "无：按约定公开"),
        "—",
    ),
    "train.shared": _trained(("", ""), ("", "")),
    "train.own": _trained(_OWN_WEIGHTS, _OWN_WEIGHTS),
    "train.both": _trained(_WHOLE_CARD, _WHOLE_CARD),
    "score": Statement(
        {
            "asker": (
                "the total score of each client, and the reasons that the grant allows",
                "每位客户的总分，以及授权允许的扣分原因",
            ),
            "provider": ("how many clients were scored", "被评分的客户数"),
            "helper": _SHAPES,
        },
        _AIDED,
        "Beaver, CRYPTO 1991",
    ),
    "boost.shared": _boosted(("", "")),
    "boost.asker": _boosted(("the weight of each leaf; ", "每个叶子的权重；")),
    "boost-score": Statement(
        {
            "asker": ("the total score of each client that is scored", "每位被评分客户的总分"),
            "provider": ("how many clients were scored", "被评分的客户数"),
            "helper": ("the number of rows and of trees", "行数与树的数量"),
        },
        _AIDED,
        "Beaver, CRYPTO 1991; Fang et al., CIKM 2021",
    ),
    "publish": Statement(
        {
            "asker": _NOTHING,
            "provider": ("the digest of the published model", "已发布模型的摘要"),
            "helper": ("the digest of the published model", "已发布模型的摘要"),
        },
        ("none: public by agreement", "无：按约定公开"),
        "—",
    ),
    "local": Statement(
        {
            "asker": (
                "everything: one process holds both owners' data, nothing is protected",
                "一切：同一进程持有双方数据，没有任何保护",
            ),
            "provider": _NOTHING,
        },
        ("none: one process, no protection", "无：单一进程，无保护"),
        "—",
    ),
    "witness": Statement(
        {
            "asker": ("the size and root of the partner's log", "合作方日志的大小与根"),
            "provider": ("the size and root of the asker's log", "结果使用方日志的大小与根"),
            "helper": _NOTHING,
        },
        ("SHA-256 is collision resistant; Ed25519 signatures", "SHA-256 抗碰撞；Ed25519 签名"),
        "RFC 6962; C2SP tlog-witness",
    ),
}


# Where both may know the card, bins are told before the training, of variables dropped later too.
_OPENED_CARD: Final = {
    "bin": ("asker", "the bins and weights of each of its variables", "合作方各变量的分箱与权重"),
    "select": ("provider", "the bins and weights of the asker's kept ones", "结果使用方保留变量的分箱与权重"),
}


# Where the asker keeps the clients' consents, the provider checks each of them.
_CONSENTS: Final = (
    "the digest and the time of validity of each matched client's consent",
    "每位匹配客户的授权书摘要及其有效期",
)


def statement_of(
    step: str,
    *,
    match: str,
    bin_counts: str,
    card: str,
    leaves: str = "shared",
    mode: str = "aided",
    consents: str = "none",
) -> Statement:
    """The statement of a step under a plan's protocol, openings and trust mode, and the grant's consents."""
    if mode == "local":
        return STATEMENTS["local"]
    variant = {
        "match": f"match.{match}",
        "bin": f"bin.{bin_counts}",
        "train": f"train.{card}",
        "boost": f"boost.{leaves}",
        "size": f"size.{mode}",
        "join": f"join.{mode}",
    }
    statement = STATEMENTS[variant.get(step, step)]
    if card == "both" and step in _OPENED_CARD:
        role, english, chinese = _OPENED_CARD[step]
        statement = _with(statement, role, (english, chinese))
    if step == "match" and consents == "asker":
        statement = _with(statement, "provider", _CONSENTS)
    return _of_a_pair(step, statement) if mode == "pair" else statement


def _of_a_pair(step: str, statement: Statement) -> Statement:
    """The same step without a helper."""
    learned = {role: words for role, words in statement.learned.items() if role != "helper"}
    if step not in _PAIR_PAPERS:
        return msgspec.structs.replace(statement, learned=learned)
    return Statement(learned, _PAIR, _PAIR_PAPERS[step])


def _with(statement: Statement, role: str, more: tuple[str, str]) -> Statement:
    old = statement.learned[role]
    told = (f"{old[0]}; {more[0]}", f"{old[1]}；{more[1]}")
    return msgspec.structs.replace(statement, learned=statement.learned | {role: told})
