"""Plans: everything that can be wrong in the text is one sentence with file, line and key."""

import re
import tomllib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from tongzhou.errors import NotFoundError, PlanError, StorageError
from tongzhou.node import plan as plans
from tongzhou.node.plan import Plan, decode_plan, encode_plan, load_plan, parse_plan, plan_digest
from tongzhou.node.plan_jobs import JOB_RULES

TEXT = """\
[plan]
name = "card-clients"
purpose = "credit-scorecard"
mode = "aided"

[parties]
asker = "bank"
provider = "cardnet"
helper = "helper"

[match]
protocol = "dh"
identifier = "client_id"
kind = "text"
minimum_rows = 1000

[tables.bank]
table = "clients"
label = "default"
columns = ["limit", "sex", "age"]

[tables.cardnet]
table = "behaviour"
columns = ["repay_1", "bill_1"]
specials = {repay_1 = [-2.0, -1]}

[holdout]
share = 0.3
seed = "2005"

[binning]
fine = 32
max_bins = 6
min_share = 0.02
monotone = "auto"

[openings]
bin_counts = "both"
card = "own"
reasons = 3
"""


def read(text: str = TEXT) -> Plan:
    return parse_plan(text, "plan.toml")


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) >= 1, f"{old!r} is not in the plan"
    return TEXT.replace(old, new, 1)


def test_a_plan_is_read_with_defaults() -> None:
    plan = read()
    assert (plan.name, plan.purpose, plan.mode) == ("card-clients", "credit-scorecard", "aided")
    assert plan.match.identifier == {"bank": "client_id", "cardnet": "client_id"}
    assert plan.tables["bank"].label == "default"
    assert plan.tables["cardnet"].specials == {"repay_1": (-2.0, -1.0)}
    assert plan.selection.min_iv == 0.02
    assert plan.card.base_points == 600
    assert plan.openings.card == "own"
    assert plan.members == ("bank", "cardnet", "helper")


def test_local_mode_needs_no_helper() -> None:
    plan = read(TEXT.replace('helper = "helper"\n', "").replace('mode = "aided"', 'mode = "local"'))
    assert plan.mode == "local"
    assert plan.members == plan.owners == ("bank", "cardnet")


def test_identifiers_may_differ_by_owner() -> None:
    plan = read(changed('identifier = "client_id"', 'identifier = {bank = "id", cardnet = "customer"}'))
    assert plan.match.identifier == {"bank": "id", "cardnet": "customer"}


def test_roles_are_told_by_party() -> None:
    plan = read()
    assert [plan.role(party) for party in ("bank", "cardnet", "helper")] == ["asker", "provider", "helper"]
    with pytest.raises(PlanError, match="other has no role in it; it names bank, cardnet, helper"):
        plan.role("other")


# Each case: what stands in the plan, what is put in its place, the sentence.
WRONG = [
    ("[parties]", "[parties", r"plan\.toml, line 6, column \d+: not valid TOML"),
    ('seed = "2005"', 'seed = "2005', r"plan\.toml, line 29, column \d+: not valid TOML"),
    ("[holdout]", "[holdot]", r"plan\.toml:27: unknown key holdot; did you mean holdout\?"),
    ("share =", "shair =", r"plan\.toml:28: unknown key holdout\.shair; did you mean holdout\.share\?"),
    ("fine = 32", "zebra = 32", r"plan\.toml:32: unknown key binning\.zebra; allowed here: fine, max_bins"),
    ('table = "clients"\n', "", r"plan\.toml:17: tables\.bank\.table is missing"),
    ('purpose = "credit-scorecard"\n', "", r"plan\.toml:1: plan\.purpose is missing"),
    ("share = 0.3", "share = 3", r"plan\.toml:28: holdout\.share must be from 0\.05 to 0\.9, got 3"),
    ("share = 0.3", "share = nan", r"holdout\.share must be a number, got nan"),
    ("share = 0.3", "share = true", r"holdout\.share must be a number, got true"),
    ("fine = 32", "fine = 32.5", r"binning\.fine must be a whole number, got 32\.5"),
    ("fine = 32", "fine = true", r"binning\.fine must be a whole number, got true"),
    ("fine = 32", "fine = 1000", r"binning\.fine must be from 2 to 256, got 1000"),
    ("minimum_rows = 1000", "minimum_rows = 0", r"match\.minimum_rows must be from 1 to"),
    ('seed = "2005"', "seed = 2005", r"plan\.toml:29: holdout\.seed must be text in quotes, got 2005"),
    ('seed = "2005"', 'seed = ""', r"holdout\.seed must have 1 to 64 characters, got 0"),
    (
        'monotone = "auto"',
        'monotone = "autp"',
        r'one of auto, down, none, up, got "autp"; did you mean auto\?',
    ),
    ('monotone = "auto"', "monotone = 7", r"binning\.monotone must be one of auto, down, none, up, got 7"),
    (
        'columns = ["limit", "sex", "age"]',
        "columns = []",
        r"plan\.toml:17: tables\.bank\.columns is missing",
    ),
    (
        'columns = ["limit", "sex", "age"]',
        'columns = "limit"',
        r'tables\.bank\.columns must be a list, got "limit"',
    ),
    (
        'columns = ["limit", "sex", "age"]',
        "columns = [1]",
        r"tables\.bank\.columns must be text in quotes, got 1",
    ),
    (
        "specials = {repay_1 = [-2.0, -1]}",
        "specials = 3",
        r"tables\.cardnet\.specials must be a section, got 3",
    ),
    (
        '[parties]\nasker = "bank"',
        '[parties]\nasker = "Bank"',
        r"parties\.asker must be a name of small letters",
    ),
    (
        'mode = "aided"',
        'mode = "pair"',
        r'plan\.toml:9: mode "pair" has no helper',
    ),
    ('mode = "aided"', 'mode = "aidded"', r"one of aided, local, pair, got .aidded.; did you mean aided"),
    ('mode = "aided"', 'mode = "local"', r'plan\.toml:9: mode "local" has no helper'),
    ('helper = "helper"\n', "", r'plan\.toml:6: mode "aided" needs parties\.helper'),
    ('helper = "helper"', 'helper = "bank"', r"plan\.toml:6: bank has two roles"),
    (
        "[tables.cardnet]",
        "[tables.cardnit]",
        r"plan\.toml:22: tables\.cardnit is for a party without a role; did you mean cardnet",
    ),
    ("[tables.cardnet]", "[tables.helper]", r"plan\.toml:22: helper is the helper and brings no table"),
    ('identifier = "client_id"', 'identifier = {bank = "id"}', r"match\.identifier\.cardnet is missing"),
    ('label = "default"\n', "", r"plan\.toml:17: tables\.bank\.label is missing"),
    (
        'table = "behaviour"',
        'table = "behaviour"\nlabel = "late"',
        r"plan\.toml:24: the label belongs to the asker bank",
    ),
    ('"sex", "age"]', '"sex", "sex"]', r"plan\.toml:20: column sex is listed twice"),
    ('"sex", "age"]', '"sex", "default"]', r"column default is the label and cannot be a variable too"),
    (
        '"sex", "age"]',
        '"sex", "client_id"]',
        r"column client_id is the identifier and cannot be a variable too",
    ),
    ('["repay_1", "bill_1"]', '["repay_1", "age"]', r"column age is named on both sides"),
    (
        "{repay_1 = [-2.0, -1]}",
        "{repay_9 = [-2.0]}",
        r"tables\.cardnet\.specials\.repay_9 names a column that is not",
    ),
    ("max_bins = 6", "max_bins = 32\nfine = 8", r"not valid TOML"),
    ("fine = 32", "fine = 5", r"plan\.toml:33: binning\.max_bins is 6, more than the 5 fine bins"),
]


@pytest.mark.parametrize(
    ("old", "new", "sentence"), WRONG, ids=[f"{old} > {new}"[:60] for old, new, _ in WRONG]
)
def test_each_fault_has_its_sentence(old: str, new: str, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        read(changed(old, new))


def test_aided_matching_needs_the_helper() -> None:
    text = TEXT.replace('helper = "helper"\n', "").replace('mode = "aided"', 'mode = "local"')
    with pytest.raises(PlanError, match=r'match\.protocol "aided" needs mode "aided"; use "dh" or "vole"'):
        read(text.replace('protocol = "dh"', 'protocol = "aided"'))


@pytest.mark.parametrize("section", ["plan", "parties", "match", "tables"])
def test_a_missing_section_is_named(section: str) -> None:
    document = tomllib.loads(TEXT)
    document.pop(section)
    with pytest.raises(PlanError, match=rf"\b{section} is missing"):
        plans._build(document, plans.Place("plan.toml"))


def _numeric_keys() -> list[tuple[str, str, inspect.Type]]:
    keys = []
    for section in inspect.type_info(plans._Document).fields:
        kind = section.type.type if isinstance(section.type, inspect.Metadata) else section.type
        for key in getattr(kind, "fields", ()):
            bare = key.type.type if isinstance(key.type, inspect.Metadata) else key.type
            if isinstance(bare, inspect.IntType | inspect.FloatType):
                keys.append((section.name, key.name, bare))
    return keys


def _document_with(section: str) -> dict:
    """A plan of the first job that reads a section."""
    document = tomllib.loads(TEXT)
    job = next(job for job, rules in JOB_RULES.items() if section in rules.sections)
    document["plan"]["job"] = job
    read = ("plan", "parties", *JOB_RULES[job].sections)
    if not JOB_RULES[job].label:
        document["tables"]["bank"].pop("label")
    return {name: content for name, content in document.items() if name in read}


@pytest.mark.parametrize(("section", "key", "kind"), _numeric_keys(), ids=lambda value: str(value)[:30])
def test_every_number_is_bounded_and_both_bounds_are_legal(
    section: str, key: str, kind: inspect.Type
) -> None:
    assert kind.ge is not None
    assert kind.le is not None, f"{section}.{key} has no bound"
    for value, legal in ((kind.ge, True), (kind.le, True), (kind.ge - 1, False), (kind.le + 1, False)):
        document = _document_with(section)
        document.setdefault(section, {})[key] = value
        if section == "binning":
            document["binning"]["max_bins"] = value if key == "max_bins" else 2
        if key == "patience":
            document["boosting"]["trees"] = 1000
        if legal:
            assert getattr(getattr(plans._build(document, plans.Place("p")), section), key) == value
        else:
            with pytest.raises(PlanError, match=rf"{section}\.{key} must be from"):
                plans._build(document, plans.Place("p"))


BOOSTING = TEXT.replace('mode = "aided"', 'mode = "aided"\njob = "boosting"').split("[binning]")[0]


@pytest.mark.parametrize(
    ("added", "words"),
    [
        (
            "[train]\nl2 = 1",
            r"plan\.toml:\d+: job boosting reads no section train; it reads match, tables, holdout",
        ),
        (
            "[boosting]\nmonotone = {nothing = 'up'}",
            r"boosting\.monotone\.nothing names a column that is not among",
        ),
        ("[boosting]\nmonotone = {age = 'sideways'}", r"boosting\.monotone\.age must be one of down, up"),
        ("[boosting]\ntrees = 3\npatience = 4", r"boosting\.patience is 4, more than the 3 trees"),
        ("[boosting]\ndepht = 3", r"unknown key boosting\.depht; did you mean boosting\.depth"),
    ],
)
def test_a_job_reads_its_own_sections_and_no_others(added: str, words: str) -> None:
    assert read(BOOSTING).job == "boosting"
    with pytest.raises(PlanError, match=words):
        read(BOOSTING + "\n" + added + "\n")


def test_a_job_that_only_matches_reads_no_label() -> None:
    text = BOOSTING.replace('job = "boosting"', 'job = "match"').split("[holdout]")[0]
    with pytest.raises(PlanError, match="job match reads no label; remove it"):
        read(text)
    assert read(text.replace('label = "default"\n', "")).job == "match"


def test_the_digest_leaves_out_sections_that_the_job_does_not_read() -> None:
    sections = set(msgspec.json.decode(plans.encode_plan(read(BOOSTING))))
    assert sections == {"name", "purpose", "mode", "job", "parties", *JOB_RULES["boosting"].sections}
    assert plans.decode_plan(plans.encode_plan(read(BOOSTING)), "p") == read(BOOSTING)


def test_more_providers_than_a_job_takes_are_a_sentence() -> None:
    text = BOOSTING.replace('provider = "cardnet"', 'provider = "cardnet"\nfurther_providers = ["tax"]')
    with pytest.raises(PlanError, match="job boosting in mode aided has at most 1 providers, got 2"):
        read(text)


def test_the_digest_depends_on_meaning_not_on_layout() -> None:
    plan = read()
    spread = read(
        changed('identifier = "client_id"', 'identifier = {cardnet = "client_id", bank = "client_id"}')
    )
    commented = read("# a remark\r\n" + TEXT.replace("\n", "\r\n").replace("share = 0.3", "share = 0.30"))
    defaults = read(TEXT + "[train]\nl2 = 0\n[card]\npdo = 20\n")
    assert plan_digest(plan) == plan_digest(spread) == plan_digest(commented) == plan_digest(defaults)
    assert re.fullmatch("[0-9a-f]{64}", plan_digest(plan))


@pytest.mark.parametrize(
    ("old", "new"),
    [("share = 0.3", "share = 0.31"), ("reasons = 3", "reasons = 4"), ('"sex", "age"', '"age", "sex"')],
)
def test_another_plan_has_another_digest(old: str, new: str) -> None:
    assert plan_digest(read()) != plan_digest(read(changed(old, new)))


def test_json_round_trip() -> None:
    plan = read()
    assert decode_plan(encode_plan(plan), "store") == plan


def test_a_plan_from_a_peer_is_checked_like_a_file() -> None:
    raw = msgspec.json.decode(encode_plan(read()))
    raw["tables"]["cardnet"]["label"] = "late"
    with pytest.raises(PlanError, match="the label belongs to the asker bank"):
        decode_plan(msgspec.json.encode(raw), "peer cardnet")
    with pytest.raises(PlanError, match="peer cardnet: not valid JSON"):
        decode_plan(b"{", "peer cardnet")
    with pytest.raises(PlanError, match="plan must be a section, got list"):
        decode_plan(b"[]", "peer cardnet")
    raw["surprise"] = 1
    with pytest.raises(PlanError, match="unknown key surprise"):
        decode_plan(msgspec.json.encode(raw), "peer cardnet")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(section=st.sampled_from(sorted(tomllib.loads(TEXT))), value=json_values)
def test_any_value_in_a_section_gives_a_plan_or_a_sentence(section: str, value: object) -> None:
    document = {**tomllib.loads(TEXT), section: value}
    try:
        plan = plans._build(document, plans.Place("plan.toml"))
    except PlanError as error:
        assert "plan.toml" in str(error)
    else:
        assert decode_plan(encode_plan(plan), "again") == plan


@given(st.text(max_size=60))
def test_any_text_gives_a_sentence(text: str) -> None:
    with pytest.raises(PlanError, match=r"x\.toml"):
        parse_plan(text, "x.toml")


def test_files_that_are_no_plan(tmp_path) -> None:
    path = tmp_path / "plan.toml"
    with pytest.raises(NotFoundError, match=r"plan\.toml: there is no such plan file"):
        load_plan(path)
    path.write_bytes(b'[plan]\nname = "\xff"\n')
    with pytest.raises(PlanError, match="a plan is UTF-8 text; byte 15 is not"):
        load_plan(path)
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(PlanError, match="a plan has at most 1048576 bytes"):
        load_plan(path)
    with pytest.raises(StorageError, match="cannot be read"):
        load_plan(tmp_path)


def test_a_byte_order_mark_is_no_fault(tmp_path) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load_plan(path) == read()


def test_lines_are_found_for_dotted_and_quoted_keys() -> None:
    text = TEXT.replace('[match]\nprotocol = "dh"', '[match]\nprotocol = "dx"')
    with pytest.raises(PlanError, match=r"plan\.toml:12: match\.protocol"):
        read(text)
    quoted = TEXT.replace("[tables.bank]", '[tables."bank"]').replace("label =", '"lable" =')
    with pytest.raises(PlanError, match=r"plan\.toml:19: unknown key tables\.bank\.lable"):
        read(quoted)
