"""The bundled example: 30,000 credit card clients of 2005, split between a bank and a card network.

Source: I-Cheng Yeh, *Default of Credit Card Clients*, UCI Machine Learning Repository, 2009,
doi:10.24432/C55S3H, CC BY 4.0; see ``example/ATTRIBUTION.md``. ``scripts/make_example.py`` makes the files.

Each side lacks its own tenth of the clients: 27,000 rows a side, 24,000 clients in common, 3,000 on each
side that the other does not know. Money is in New Taiwan dollars. Month 1 is September 2005, month 6 April.
"""

from importlib import resources

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["CODES", "MEANINGS", "bank_table", "card_network_table"]


def _meanings() -> dict[str, dict[str, str]]:
    months = [("September", 9), ("August", 8), ("July", 7), ("June", 6), ("May", 5), ("April", 4)]
    meanings = {
        "client_id": {"en": "client number", "zh": "客户编号"},
        "limit": {"en": "credit limit (NT$)", "zh": "信用额度（新台币）"},
        "sex": {"en": "sex", "zh": "性别"},
        "education": {"en": "education", "zh": "教育程度"},
        "marriage": {"en": "marital status", "zh": "婚姻状况"},
        "age": {"en": "age (years)", "zh": "年龄（岁）"},
        "default": {"en": "default in the next month", "zh": "次月是否违约"},
    }
    for index, (month, number) in enumerate(months, start=1):
        meanings[f"repay_{index}"] = {
            "en": f"repayment status in {month} 2005",
            "zh": f"2005年{number}月还款状态",
        }
    for index, (month, number) in enumerate(months, start=1):
        meanings[f"bill_{index}"] = {
            "en": f"bill in {month} 2005 (NT$)",
            "zh": f"2005年{number}月账单金额（新台币）",
        }
    for index, (month, number) in enumerate(months, start=1):
        meanings[f"paid_{index}"] = {
            "en": f"paid in {month} 2005 (NT$)",
            "zh": f"2005年{number}月还款金额（新台币）",
        }
    return meanings


def _repayment_codes() -> dict[int, dict[str, str]]:
    codes = {
        -2: {"en": "no consumption", "zh": "无消费"},
        -1: {"en": "paid in full", "zh": "全额还清"},
        0: {"en": "revolving credit", "zh": "循环信用"},
        1: {"en": "1 month late", "zh": "逾期1个月"},
    }
    for late in range(2, 9):
        codes[late] = {"en": f"{late} months late", "zh": f"逾期{late}个月"}
    return codes


MEANINGS: dict[str, dict[str, str]] = _meanings()
"""What each column means, by column and language (``en``, ``zh``)."""

CODES: dict[str, dict[int, dict[str, str]]] = {
    "sex": {1: {"en": "male", "zh": "男"}, 2: {"en": "female", "zh": "女"}},
    "education": {
        0: {"en": "unknown", "zh": "未知"},
        1: {"en": "graduate school", "zh": "研究生"},
        2: {"en": "university", "zh": "大学"},
        3: {"en": "high school", "zh": "高中"},
        4: {"en": "other", "zh": "其他"},
        5: {"en": "unknown", "zh": "未知"},
        6: {"en": "unknown", "zh": "未知"},
    },
    "marriage": {
        0: {"en": "unknown", "zh": "未知"},
        1: {"en": "married", "zh": "已婚"},
        2: {"en": "single", "zh": "未婚"},
        3: {"en": "other", "zh": "其他"},
    },
    "default": {0: {"en": "paid", "zh": "未违约"}, 1: {"en": "defaulted", "zh": "违约"}},
    **{f"repay_{index}": _repayment_codes() for index in range(1, 7)},
}
"""What the codes of coded columns mean, by column, code and language."""


def bank_table() -> pa.Table:
    """The bank's side: client_id, limit, sex, education, marriage, age, default (27,000 rows)."""
    return _bundled("bank")


def card_network_table() -> pa.Table:
    """The card network's side: client_id and six months of repay, bill and paid (27,000 rows)."""
    return _bundled("card_network")


def _bundled(name: str) -> pa.Table:
    content = (resources.files("tongzhou.data") / "example" / f"{name}.parquet").read_bytes()
    return pq.read_table(pa.BufferReader(content))
