"""Names of companies: one form for every spelling of a name, other forms for other companies."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tongzhou.data
from tongzhou.data import _legal_forms
from tongzhou.data._regions import place_names
from tongzhou.data.companies import company_flaw, company_form, parse_company
from tongzhou.data.identifiers import check_identifiers, normalise

SAME = [
    # width, case, blanks, punctuation
    ["上海某某有限公司", "上海某某 有限公司", "上海某某有限公司。", "\ufeff上海某某\u200b有限公司"],
    ["TCL集团股份有限公司", "ＴＣＬ集团股份有限公司", "tcl 集团股份有限公司", "T.C.L.集团股份有限公司"],
    ["腾讯（深圳）有限公司", "腾讯(深圳)有限公司", "腾讯〔深圳〕有限公司", "腾讯 [ 深圳 ] 有限公司"],
    # legal forms that are one by law
    ["某某有限公司", "某某有限责任公司"],
    ["某某股份有限公司", "某某股份公司"],
    ["某某有限公司上海分公司", "某某有限责任公司上海分公司"],
    # traditional and simplified characters
    ["台积电（中国）有限公司", "臺積電(中國)有限公司"],
    ["华润万家有限公司", "華潤萬家有限公司"],
    # the word for the kind of place
    ["上海某某贸易有限公司", "上海市某某贸易有限公司"],
    ["浙江杭州某某贸易有限公司", "浙江省杭州市某某贸易有限公司"],
    ["广西某某贸易有限公司", "广西壮族自治区某某贸易有限公司"],
    # numerals in ordinals
    ["上海第一百货商店", "上海第1百货商店", "上海第壹百货商店"],
    ["上海第十二建筑有限公司", "上海第12建筑有限公司"],
    ["一号店有限公司", "1号店有限公司"],
    # Japan and Korea
    ["株式会社日立製作所", "㈱日立製作所", "(株)日立製作所", "株式會社日立製作所"],
    ["삼성전자주식회사", "삼성전자 (주)", "삼성전자㈜"],
    # Latin letters
    ["ACME HOLDINGS LTD", "Acme Holdings, Ltd.", "The Acme Holdings Limited", "Acme™ Holdings Ltd"],
    ["H AND M HENNES AB", "H&M Hennes AB", "H & M Hennes AB", "h and m hennes ab"],
    ["JP MORGAN AND CO", "J.P. Morgan & Co.", "J P Morgan & Company"],
    ["CELGENE LOGISTICS SARL", "Celgene Logistics S.à r.l.", "CELGENE LOGISTICS SÀRL"],
    ["PEAK OIL AS", "Peak Oil, a. s.", "Peak Oil A/S"],
    ["MULLER GMBH CO KG", "Müller GmbH & Co. KG", "MÜLLER GMBH UND CO KG", "Muller GmbH & Co KG"],
    ["STRASSE SP ZOO", "Straße Sp. z o.o.", "STRASSE SPÓŁKA Z OGRANICZONĄ ODPOWIEDZIALNOŚCIĄ"],
    ["ACME PTE LTD", "Acme Private Limited", "Acme Pvt. Ltd."],
    ["OBRIENS INC", "O'Brien's Incorporated", "O’Briens, Inc"],
]  # fmt: skip
DIFFERENT = [
    ("某某有限公司", "某某股份有限公司"),  # two legal forms, often two firms
    ("上海某某贸易有限公司", "北京某某贸易有限公司"),
    ("上海某某贸易有限公司", "某某贸易有限公司"),  # a place left out is for a person to judge
    ("吉林省某某有限公司", "吉林市某某有限公司"),
    ("华昇有限公司", "华升有限公司"),  # both are simplified Chinese
    ("乾元有限公司", "干元有限公司"),
    ("第一建筑有限公司", "第二建筑有限公司"),
    ("某某有限公司", "某某有限公司上海分公司"),
    ("ACME LTD", "ACME INC"),
    ("ACME LTD", "ACME CO LTD"),
    ("株式会社日立", "日立株式会社"),  # in Japan the place of the word tells two firms apart
    ("ガンバ株式会社", "カンハ株式会社"),
    ("GLOBAL FUND II", "GLOBAL FUND III"),
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_spellings_of_one_company_have_one_form(spellings):
    assert {company_form(spelling) for spelling in spellings} == {company_form(spellings[0])}


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_may_be_two_companies_stays_two(one, other):
    assert company_form(one) != company_form(other)


def test_a_latin_form_reads_as_its_first_spelling():
    assert [company_form(spellings[0]) for spellings in SAME[-9:]] == [
        spellings[0] for spellings in SAME[-9:]
    ]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("深圳市腾讯计算机系统有限公司", ("深圳", "腾讯计算机系统", "有限公司", "")),
        ("腾讯科技（深圳）有限公司", ("深圳", "腾讯科技", "有限公司", "")),
        ("中国工商银行股份有限公司上海市分行", ("中国", "工商银行", "股份有限公司", "上海市分行")),
        ("浙江省杭州市余杭区某某厂", ("浙江杭州余杭区", "某某厂", "", "")),
        ("东方航空有限公司", ("", "东方航空", "有限公司", "")),  # a city too, but rather the east
        ("某某投资合伙企业（有限合伙）", ("", "某某投资", "合伙企业有限合伙", "")),
        ("株式会社日立製作所", ("", "日立制作所", "株式会社", "")),
        ("Acme Corporation Limited", ("", "ACME", "CORP LTD", "")),
        ("PT Bank Central Asia Tbk", ("", "BANK CENTRAL ASIA", "PT TBK", "")),
        ("Limited", ("", "LIMITED", "", "")),  # one word is the name
        ("上海", ("", "上海", "", "")),
        ("工行", ("", "工行", "", "")),
    ],
)
def test_a_name_is_taken_apart(name, parts):
    parsed = parse_company(name)
    assert (parsed.place, parsed.core, parsed.form, parsed.branch) == parts


PIECES = """
    上海 上海市 浙江省 吉林 吉林市 海淀区 中国 第1 第十二 1号 ○ 臺 股份 有限 责任 公司 有限公司
    有限责任公司 集团 （深圳） ㈱ (주)
    分公司 支行 Ltd . , & A B Müller GmbH Co KG Pte THE PT ' - ™ ａｂ ß é が 한 ก็ 3M
"""
NAMES = st.lists(st.sampled_from(PIECES.split()) | st.text(max_size=3), max_size=8).map("".join) | st.text(
    max_size=30
)


@given(value=NAMES)
def test_a_form_is_its_own_form(value):
    normal = company_form(value)
    assert company_form(normal) == normal


@given(value=NAMES)
def test_the_parts_give_the_name_back(value):
    """Nothing is lost: without blanks, which stand between Latin parts, the parts are the normal form."""
    parsed = parse_company(value)
    assert "".join(part.text for part in parsed.parts).replace(" ", "") == parsed.normal.replace(" ", "")
    assert bool(parsed.core) == bool(parsed.normal)
    assert parse_company(parsed.normal, normal=True) == parsed


@given(value=NAMES)
def test_blanks_and_case_around_a_name_tell_nothing(value):
    assert company_form(f"  {value.swapcase().swapcase()} ") == company_form(value)


@pytest.mark.parametrize(
    ("number", "read"),
    [(1, "一"), (10, "十"), (12, "十二"), (20, "二十"), (100, "一百"), (105, "一百零五"), (110, "一百一十"),
     (1001, "一千零一"), (1010, "一千零一十"), (9999, "九千九百九十九"), (0, "零")],
)  # fmt: skip
def test_ordinals_are_written_as_they_are_read(number, read):
    assert company_form(f"第{number}中学") == f"第{read}中学"


def test_five_digits_are_no_ordinal():
    assert company_form("第12345中学") == "第12345中学"


@pytest.mark.parametrize(
    ("name", "flaw"),
    [
        ("上海某某贸易有限公司", None),
        ("ACME LTD", None),
        ("某某有限公司上海分公司", None),
        ("上海某某", "identifier-legal-form"),
        ("ACME", "identifier-legal-form"),
        ("12345", "identifier-form"),
    ],
)
def test_what_a_name_lacks(name, flaw):
    assert company_flaw(name) == flaw


def test_a_name_without_letters_is_missing_or_named():
    rules = [
        finding.rule for finding in check_identifiers(["——", "12", "腾讯", "腾讯有限公司"], "company", "firm")
    ]
    assert rules == ["identifier-missing", "identifier-form", "identifier-legal-form"]


def test_repeats_are_found_whatever_the_spelling():
    (finding,) = check_identifiers(["某某有限公司", "某某有限责任公司"], "company", "firm")
    assert (finding.rule, finding.row) == ("identifier-duplicated", 2)
    assert normalise(["某某有限责任公司"], "company") == ["某某有限公司"]


@pytest.mark.parametrize("spelling", _legal_forms.LATIN_FORMS)
def test_the_form_that_is_written_stays_as_it_is(spelling):
    """Otherwise a normal form would have another normal form."""
    written = _legal_forms.LATIN_FORMS[spelling]
    assert _legal_forms.LATIN_FORMS[written.replace(" ", "")] == written


def test_short_names_of_places_leave_no_doubt():
    names = place_names()
    assert all(names[written] == written for written in names.values())
    assert names["上海市"] == names["上海"] == "上海"
    assert names["吉林省"] == "吉林省" != names["吉林市"]
    assert "吉林" not in names


def _content(name: str) -> bytes:
    if name.endswith(".txt"):
        return Path(tongzhou.data.__file__).parent.joinpath("standards", name).read_bytes()
    tables = {key: getattr(_legal_forms, key) for key in sorted(_legal_forms.__all__)}
    return json.dumps(tables, default=sorted, sort_keys=True).encode()


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("regions.txt", "995b44fc0ec9d5fe8a2c16cc56404a18808682febc398b263113fb15846008b4"),
        ("simplified.txt", "7e9cb3c99f6a6b92d29e1afcf67d8b6cdd2208a098e07083ac7d8f4af90c6bad"),
        ("legal forms", "3203a33c259a16e73bf911a504bfc5e682fbdedaf2b8b8cdf51444b64edc891e"),
    ],
)
def test_the_tables_behind_the_normal_form_do_not_change(name, digest):
    """Two owners with other tables would miss each other in silence: a change needs a new kind."""
    assert hashlib.sha256(_content(name)).hexdigest() == digest
