"""The program can be read in one direction: a module imports only from rows above its own."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import heartbert

PACKAGE = Path(heartbert.__file__).parent

# Modules and packages from the top of the program to its end. A package may import within itself.
ROWS = (
    ("compiled", "errors", "files", "progress"),
    ("records", "workers"),
    ("signals",),
    ("levels",),
    ("text",),
    ("preprocessing",),
    ("tokens",),
    ("embeddings",),
    ("predictions",),
    ("analysis", "evaluation"),
    ("databases",),
    ("bundle",),
    ("embedded_leads",),
    ("lead_beats",),
    ("pipeline",),
    ("training", "results", "sklearn"),
    ("protocols",),
    ("cli",),
)
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}

# Imports for annotations only that go downwards, and why they may.
TYPING_ONLY = {
    # The encoder is built from the settings of its training, which it only reads.
    ("embeddings.encoder", "training.config"),
}
# Heavy libraries, and readers, that `import heartbert` may not load.
HEAVY = ("torch", "transformers", "wfdb", "edfio", "sleepecg", "soxr", "pandas", "scipy", "matplotlib")
# Libraries that a machine with an accelerator, which has a corpus and no recordings, need not have.
READERS = ("wfdb", "edfio", "sleepecg", "soxr", "pandas")


@dataclass(frozen=True)
class Import:
    """One import of the project's own code."""

    source: str
    target: str
    typing_only: bool


def _modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield the name below ``heartbert`` and the syntax tree of every module; the package root is ``""``."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def _targets(node: ast.AST) -> list[str]:
    """Return the full names of the modules that an import statement may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"relative import in line {node.lineno}"
        # `from heartbert.results import plots` loads a module, `from heartbert.results import DISCLAIMER` a name.
        modules = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if _is_module(name) else str(node.module) for name in modules]
    return []


def _is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imports() -> list[Import]:
    """Return every import of the project by itself, those inside functions included."""
    found = []
    for source, tree in _modules():
        guarded = {id(child) for node in ast.walk(tree) if _is_type_checking(node) for child in ast.walk(node)}
        for node in ast.walk(tree):
            for target in _targets(node):
                if target.split(".")[0] == "heartbert":
                    found.append(Import(source, target.removeprefix("heartbert").lstrip("."), id(node) in guarded))
    return found


IMPORTS = _imports()


def _loaded(statement: str, libraries: tuple[str, ...]) -> list[str]:
    """Run a statement in a new interpreter and return which libraries it has loaded."""
    code = f"{statement}; import json, sys; print(json.dumps([name for name in {libraries!r} if name in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return list(json.loads(ran.stdout))


def test_every_module_has_a_row() -> None:
    """A new file needs a place on the path."""
    top = {name.split(".")[0] for name, _ in _modules()} - {""}

    assert top == set(ROW_OF)


def test_imports_go_to_rows_above_or_stay_in_their_package() -> None:
    """Cycles, and stages that reach ahead, begin with one import in the wrong direction."""
    wrong = []
    for one in IMPORTS:
        source, target = one.source.split(".")[0], one.target.split(".")[0]
        exempt = one.typing_only and (one.source, one.target) in TYPING_ONLY
        if source and target and source != target and not exempt and ROW_OF[target] >= ROW_OF[source]:
            wrong.append(f"{one.source} imports {one.target}")

    assert wrong == []


def test_typing_exemptions_are_needed() -> None:
    """A list of exceptions that no longer exist invites new ones."""
    assert {(one.source, one.target) for one in IMPORTS if one.typing_only} >= TYPING_ONLY


def test_nobody_imports_the_command_line() -> None:
    """It prints and exits; nothing else may."""
    assert {one.source.split(".")[0] for one in IMPORTS if one.target.split(".")[0] == "cli"} <= {"cli"}


def test_only_the_command_line_imports_the_package_root() -> None:
    """The root imports the pipeline, so anything below would close a cycle."""
    assert {one.source.split(".")[0] for one in IMPORTS if one.target == ""} <= {"cli"}


def test_import_heartbert_loads_nothing_heavy() -> None:
    """A second for `--version` or for an error message is a second too much."""
    assert _loaded("import heartbert", HEAVY) == []


@pytest.mark.parametrize("module", ["training.pretraining", "training.config", "training.corpus"])
def test_pretraining_loads_no_reader(module: str) -> None:
    """Pre-training runs on machines that have an accelerator and little else."""
    assert _loaded(f"import heartbert.{module}", READERS) == []


def test_tokenizing_and_labels_load_no_torch() -> None:
    """Reports and corpora are made without a network."""
    modules = ("records", "signals.survey", "preprocessing", "tokens", "predictions.labels", "analysis", "results")

    assert _loaded("import " + ", ".join(f"heartbert.{module}" for module in modules), ("torch", "transformers")) == []
