"""Rules of the house that no linter knows: small modules, one clock, no platform's own calls, no machine's paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = sorted((ROOT / "connector").rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "benchmarks" not in path.parts)
MODULES = [path for path in PRODUCT if "versions" not in path.parts]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in [*PRODUCT, *TESTS]}
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 70
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".cfg",
    ".ini",
    ".json",
    ".yml",
    ".yaml",
    ".csv",
    ".service",
    ".mako",
    ".html",
    ".xml",
}
NOT_OURS = {".git", ".venv", "build", "node_modules", "data", "demo-data"}

CLOCKS = {
    "connector/clock.py",
    "connector/sandbox/clock.py",
    # Receivers of webhooks compare the time of a signature with their real clock.
    "connector/sandbox/stripe/webhooks.py",
    # The ticker wakes up by the machine's time; what its jobs do is decided by the injected clock.
    "connector/daemon/daemon.py",
}
ASKS_THE_TIME = {
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
    "datetime.datetime.now",
    "date.today",
    "datetime.date.today",
    "time.time",
}
POSIX_ONLY = {
    "os.fork",
    "os.forkpty",
    "os.geteuid",
    "os.getuid",
    "os.setuid",
    "os.chown",
    "os.getpgid",
    "os.killpg",
    "os.mkfifo",
    "os.setsid",
    "os.sysconf",
    "os.uname",
    "os.wait",
    "signal.SIGKILL",
    "signal.SIGHUP",
    "signal.SIGUSR1",
    "signal.SIGUSR2",
    "signal.SIGALRM",
    "signal.alarm",
    "signal.pause",
    "time.tzset",
}
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios"}
ADDS_CENTS_UP = {"connector/database/sums.py"}
KILLS_ON_PURPOSE = {"connector/failpoints.py"}
ASKS_WHICH_SYSTEM = {"connector/cli/account.py", "connector/simulation/postgres_server.py"}
"""Each system is asked in its own way, after a look at which one it is."""

LOOKS_AWAY = {
    "time.sleep",
    "pytest.skip",
    "pytest.xfail",
    "pytest.importorskip",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "pytest.mark.xfail",
}

# Written in two halves, so that this file does not find itself.
REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "registry.npm" + "js.org", "artifact" + "ory", "pkg" + ".dev/")
MACHINE_PATHS = re.compile(r"(?<![\w./:-])/(?:work|home/\w+|root|Users/\w+)/[\w.]")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(node: ast.AST) -> str:
    """`a.b.c` for an attribute of names, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def calls_of(forbidden: set[str], but: Collection[str] = ()) -> list[str]:
    """Where the product calls one of these, except in the modules named."""
    return [
        f"{name(path)}:{node.lineno}"
        for path in PRODUCT
        if name(path) not in but
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call) and dotted(node.func) in forbidden
    ]


def texts() -> Iterator[Path]:
    """Every text file that belongs to the project, found without asking a version control system."""
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") or part.endswith(".egg-info") for part in parts)
        text = path.suffix in TEXT or path.name in ("Makefile", "requirements.lock")
        if text and not hidden and not NOT_OURS & set(parts) and path.is_file():
            yield path


def test_the_modules_were_found() -> None:
    """Otherwise the other rules would hold for nothing."""
    assert len(MODULES) > 100
    assert len(TESTS) > 20
    assert ROOT / "pyproject.toml" in set(texts())


def test_a_module_fits_into_a_head() -> None:
    """At most 400 lines; migrations are exempt, because they are never read again."""
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}

    assert {module: count for module, count in lines.items() if count > LINES_OF_A_MODULE} == {}


def test_a_function_fits_on_a_screen() -> None:
    """At most 70 lines, signature and docstring included."""
    found = []
    for path in MODULES:
        functions = (
            node for node in ast.walk(TREES[path]) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        )
        lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
        found += [f"{name(path)}: {verb}" for verb, lines in lengths.items() if lines > LINES_OF_A_FUNCTION]

    assert found == []


def test_a_module_opens_with_what_it_owns() -> None:
    """With a docstring; empty package files have nothing to say."""
    silent = [path for path in MODULES if TREES[path].body and not ast.get_docstring(TREES[path])]
    empty = [path for path in MODULES if not TREES[path].body and path.name != "__init__.py"]

    assert [name(path) for path in silent + empty] == []


def test_nothing_is_printed_past_the_command_line_and_the_log() -> None:
    """Output goes through click, rich or structlog, which know about JSON and redaction."""
    assert calls_of({"print", "pprint", "sys.stdout.write"}) == []


def test_only_the_clock_asks_for_the_time() -> None:
    """Everything else is told, so that it can be tested and driven through months."""
    assert calls_of(ASKS_THE_TIME, but=CLOCKS) == []


def test_cents_are_added_up_in_one_place() -> None:
    """PostgreSQL's SUM is a decimal, which money does not take; with SQLite's nobody would notice."""
    assert calls_of({"func.sum"}, but=ADDS_CENTS_UP) == []


def test_nothing_needs_a_posix_system() -> None:
    """The practice's computer may run Windows; only a failpoint may ask for what is not there, and asks first."""
    found = []
    for path in PRODUCT:
        if name(path) in ASKS_WHICH_SYSTEM:
            continue
        nodes = list(ast.walk(TREES[path]))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        used = set() if name(path) in KILLS_ON_PURPOSE else {dotted(node) for node in nodes} & POSIX_ONLY
        found += [f"{name(path)}: {word}" for word in sorted(imported & POSIX_MODULES | used)]

    assert found == []


def test_tests_never_wait_by_the_clock_nor_look_away() -> None:
    """No sleeping, no skipping, no expected failure."""
    found = []
    for path in TESTS:
        words = {dotted(node) for node in ast.walk(TREES[path])} & LOOKS_AWAY
        found += [f"{name(path)}: {word}" for word in sorted(words)]

    assert found == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    """No absolute path of a working place, and no package registry: both differ from place to place."""
    found = []
    for path in texts():
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name(path)}: {host}" for host in REGISTRIES if host in text.lower()]
        found += [f"{name(path)}: {match.group()}" for match in MACHINE_PATHS.finditer(text)]

    assert found == []
