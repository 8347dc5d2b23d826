"""Calls that are not made here, each with what to use instead."""

import ast
import re

import house_code
import pytest

# Name or prefix of a call, its replacement, and the modules that may use it all the same.
BANNED: list[tuple[str, str, tuple[str, ...]]] = [
    ("eval", "a parser of your own (decide has one)", ()),
    ("exec", "ordinary code", ()),
    ("compile", "re.compile, or a parser of your own", ()),
    ("print", "Terminal.say or Terminal.result, which translate", ()),
    ("input", "typer.confirm or typer.prompt in cli/", ()),
    ("os.system", "subprocess.run with a list", ()),
    ("datetime.utcnow", "parties.times.utc_now", ()),
    (
        "datetime.now",
        "parties.times.utc_now, or a clock that is passed in",
        ("parties/times.py", "cli/main.py"),
    ),
    ("tempfile.mktemp", "tempfile.mkstemp beside the target", ()),
    ("hashlib.md5", "hashlib.sha256", ()),
    ("hashlib.sha1", "hashlib.sha256", ()),
    (
        "np.random",
        "secrets, os.urandom or the generator in secure/; seeded generators only in risk/",
        ("risk/",),
    ),
    ("numpy.random", "secrets, os.urandom or the generator in secure/", ("risk/",)),
    ("random.", "secrets", ()),
    ("yaml.load", "msgspec with a type", ()),
    ("time.sleep", "a wait on what you wait for, with a timeout", ("node/", "cli/")),
    ("sys.exit", "an error kind; cli.main turns it into an exit code", ("cli/main.py", "cli/__main__.py")),
]
MODULES_BANNED = {
    "pickle": "msgspec with a type",
    "marshal": "msgspec with a type",
    "shelve": "SQLite",
    "dill": "msgspec with a type",
    "cloudpickle": "msgspec with a type",
    "random": "secrets",
    "imp": "importlib",
    "telnetlib": "wire.tls",
}
# The outermost edges, where every error must become a sentence.
BROAD_EXCEPT = {"cli/main.py", "node/daemon.py", "wire/memory.py"}
MODULES = sorted(house_code.modules())


@pytest.mark.parametrize("name", MODULES)
def test_no_banned_call(name: str) -> None:
    found = []
    for node in ast.walk(house_code.modules()[name]):
        if not isinstance(node, ast.Call):
            continue
        called = house_code.dotted(node.func)
        for banned, instead, exempt in BANNED:
            if name.startswith(exempt) and exempt:
                continue
            hit = called == banned or called.startswith(banned if banned.endswith(".") else f"{banned}.")
            if hit and not called.startswith("random.Random"):
                found.append(f"{name}:{node.lineno}: {called}; use {instead}")
    assert found == []


@pytest.mark.parametrize("name", MODULES)
def test_no_banned_module(name: str) -> None:
    for node in ast.walk(house_code.modules()[name]):
        names = []
        if isinstance(node, ast.Import):
            names = [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for imported in names:
            top = imported.split(".")[0]
            assert top not in MODULES_BANNED, f"{name}:{node.lineno}: {imported}; use {MODULES_BANNED[top]}"


@pytest.mark.parametrize("name", MODULES)
def test_no_assert_and_no_broad_except(name: str) -> None:
    for node in ast.walk(house_code.modules()[name]):
        assert not isinstance(node, ast.Assert), (
            f"{name}:{node.lineno}: raise a typed error instead of assert"
        )
        if isinstance(node, ast.ExceptHandler) and name not in BROAD_EXCEPT:
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            caught = {house_code.dotted(kind) if kind is not None else "" for kind in kinds}
            reraises = any(isinstance(item, ast.Raise) and item.exc is None for item in ast.walk(node))
            broad = caught & {"", "Exception", "BaseException"}
            assert not broad or reraises, f"{name}:{node.lineno}: catch what you expect, by name"


@pytest.mark.parametrize("name", MODULES)
def test_no_shell(name: str) -> None:
    for node in ast.walk(house_code.modules()[name]):
        if isinstance(node, ast.Call):
            shell = [item for item in node.keywords if item.arg == "shell"]
            assert not shell, f"{name}:{node.lineno}: no shell; pass a list"


# The words are put together here so that this file does not find itself.
LEFT_OVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")


def _own_text() -> list:
    kinds = ("*.py", "*.md", "*.toml", "*.sh", "Makefile", "*.po", "*.html", "*.css")
    folders = ("src", "tests", "bench", "scripts", "docs", ".ci")
    files = [path for folder in folders for kind in kinds for path in (house_code.ROOT / folder).rglob(kind)]
    # The peers of `make bench` are installed below bench/out: other people's text.
    peers = house_code.ROOT / "bench" / "out"
    return [
        *(path for path in files if not path.is_relative_to(peers)),
        *house_code.ROOT.glob("*.md"),
        house_code.ROOT / "Makefile",
        house_code.ROOT / "pyproject.toml",
    ]


def test_nothing_is_left_for_later() -> None:
    left = []
    for path in _own_text():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if LEFT_OVER.search(line):
                left.append(f"{path.relative_to(house_code.ROOT)}:{number}: {line.strip()[:80]}")
    assert left == []


def test_no_package_registry_is_named() -> None:
    hosts = re.compile("|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(com|org)"]))
    named = [
        str(path)
        for path in [*_own_text(), *(house_code.ROOT / "requirements").glob("*")]
        if hosts.search(path.read_text(encoding="utf-8"))
    ]
    assert named == []
