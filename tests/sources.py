"""The project's sources, and which of them import what."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from core.home import PROJECT_ROOT

APP = PROJECT_ROOT / "streamlit_app.py"
SOURCES = [APP, *(file for room in ("core", "ui", "pages") for file in sorted((PROJECT_ROOT / room).rglob("*.py")))]


def module_name(file: Path) -> str:
    parts = file.relative_to(PROJECT_ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(file): file for file in SOURCES}


@functools.cache
def tree_of(file: Path) -> ast.Module:
    """Return a source file, parsed: all of them take seconds, and many tests want them."""
    return ast.parse(file.read_text(encoding="utf-8"))


def imports_of(file: Path) -> Iterator[str]:
    """Give the full name of everything a file imports, at the top or within a function."""
    package = module_name(file).split(".") if file.name == "__init__.py" else module_name(file).split(".")[:-1]
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


IMPORTS = {module_name(file): set(imports_of(file)) for file in SOURCES}


def importers_of(*names: str) -> dict[str, set[str]]:
    """Return which modules import one of these packages, or something in them."""
    found = {
        module: {name for name in imported if any(f"{name}.".startswith(f"{wanted}.") for wanted in names)}
        for module, imported in IMPORTS.items()
    }
    return {module: imported for module, imported in found.items() if imported}
