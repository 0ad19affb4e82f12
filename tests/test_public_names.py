"""What users may import is listed, exists, and is explained."""

import ast
import inspect
from pathlib import Path

import pytest

import heartbert


def test_public_names_are_sorted_and_few() -> None:
    """A reader takes in a dozen names, not a hundred."""
    assert heartbert.__all__ == sorted(heartbert.__all__)
    assert len(heartbert.__all__) == len(set(heartbert.__all__)) <= 12


def test_public_names_are_complete() -> None:
    """A name that is loaded when used or defined at the root is public; private ones begin with an underscore."""
    tree = ast.parse(Path(heartbert.__file__).read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    reexported = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("heartbert")
        for alias in node.names
    }
    lazy = set(heartbert._MODULE_OF)

    public = {name for name in defined | reexported | lazy if not name.startswith("_")}
    assert set(heartbert.__all__) == public | {"__version__"}


@pytest.mark.parametrize("name", sorted(set(heartbert.__all__) - {"__version__"}))
def test_public_name_resolves_and_has_a_docstring(name: str) -> None:
    """`help(heartbert.load)` is the first thing a user tries."""
    docstring = inspect.getdoc(getattr(heartbert, name))

    assert docstring
    assert docstring.splitlines()[0].endswith(".")


def test_version_is_a_release_number() -> None:
    """Bundles and reports store it."""
    assert heartbert.__version__.split(".")[0].isdigit()


def test_unknown_name_is_refused_as_usual() -> None:
    """`hasattr` and tab completion rely on AttributeError."""
    with pytest.raises(AttributeError, match="module 'heartbert' has no attribute 'Heartbert'"):
        _ = heartbert.Heartbert
