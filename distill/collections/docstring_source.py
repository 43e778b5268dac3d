"""Docstrings of installed packages, read from their source and importing none of them."""

from __future__ import annotations

import ast
import gc
import importlib.util
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STANDARD_LIBRARY = "stdlib"

_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# Folders that hold no documentation of the package's own interface.
_LEFT_OUT = frozenset({"test", "tests", "testing", "site-packages", "externals", "idlelib", "lib2to3"})
# The same text for a hundred models.
_LEFT_OUT_PATHS = (("transformers", "models"),)


@dataclass(frozen=True, slots=True)
class Docstring:
    """The docstring of one public class, function or method, indentation removed."""

    name: str
    package: str
    text: str


def find_root(package: str) -> Path | None:
    """The folder of an importable package, or of the standard library under the name ``stdlib``; None if absent."""
    if package == STANDARD_LIBRARY:
        return Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def read_docstrings(package: str, root: Path) -> list[Docstring]:
    """Docstrings of the public objects below ``root``, sorted by name; of one name the first in the source counts.

    Private objects are left out, and private modules too, but for what the ``__init__.py`` beside them names: that is
    how scipy and scikit-learn lay out their public interface. Such an object is named as users import it.
    """
    found: dict[str, Docstring] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not _is_read(package, parts):
            continue
        private = [part for part in parts if part.startswith("_") and part != "__init__.py"]
        exported = _exported(path.parent) if private else None
        prefix = [] if package == STANDARD_LIBRARY else [package]
        prefix += [part.removesuffix(".py") for part in parts if part not in private and part != "__init__.py"]
        with _without_collector():
            for name, text in _definitions(_parse(path), prefix, exported):
                found.setdefault(name, Docstring(name, package, text))
    return [found[name] for name in sorted(found)]


def _is_read(package: str, parts: Sequence[str]) -> bool:
    """Whether a file is read: not among tests, and with no private folder above it."""
    if _LEFT_OUT.intersection(parts) or (package, parts[0]) in _LEFT_OUT_PATHS:
        return False
    return not any(part.startswith(("_", "test_")) for part in parts[:-1]) and not parts[-1].startswith("test_")


def _exported(folder: Path) -> frozenset[str]:
    """Every word of a folder's ``__init__.py``, and so every name that it passes on."""
    init = folder / "__init__.py"
    source = init.read_text(encoding="utf-8", errors="replace") if init.is_file() else ""
    return frozenset(re.findall(r"\w+", source))


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's collector of cycles at rest: a syntax tree has none, and is searched for some again and again.

    Of 25 s for the quickstart's packages that took 9.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse(path: Path) -> ast.Module:
    """The syntax tree, empty for a file in another Python's syntax or without any long string."""
    source = path.read_text(encoding="utf-8", errors="replace")
    if '"""' not in source and "'''" not in source:
        return ast.Module(body=[], type_ignores=[])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return ast.parse(source)
        except SyntaxError:
            return ast.Module(body=[], type_ignores=[])


def _definitions(
    parent: ast.Module | ast.ClassDef, prefix: list[str], exported: frozenset[str] | None
) -> Iterator[tuple[str, str]]:
    """Yield (qualified name, docstring) of public definitions, in order; ``exported`` limits the outermost names."""
    for node in parent.body:
        if not isinstance(node, _DEFINITION) or node.name.startswith("_"):
            continue
        if exported is not None and node.name not in exported:
            continue
        text = ast.get_docstring(node)
        if text:
            yield ".".join([*prefix, node.name]), text
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node, [*prefix, node.name], None)
