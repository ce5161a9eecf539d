"""Every public name of core says what it is for, in a sentence that ends; every parameter has a type."""

import ast
from collections.abc import Iterator

from core.home import PROJECT_ROOT

FILES = sorted((PROJECT_ROOT / "core").rglob("*.py"))

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
ENDINGS = (".", "!", "?", ":", "`", ")")


def public(node: ast.Module | ast.ClassDef, where: str) -> Iterator[tuple[str, Documented]]:
    """Give a module or class and what is public in it, each with its full name."""
    yield where, node
    for each in node.body:
        if isinstance(each, ast.ClassDef) and not each.name.startswith("_"):
            yield from public(each, f"{where}.{each.name}")
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and not each.name.startswith("_"):
            yield f"{where}.{each.name}", each


def everything() -> list[tuple[str, Documented]]:
    found: list[tuple[str, Documented]] = []
    for file in FILES:
        module = ".".join(file.relative_to(PROJECT_ROOT).with_suffix("").parts)
        found += public(ast.parse(file.read_text(encoding="utf-8")), module)
    return found


def is_implied(node: Documented) -> bool:
    """Return whether a method needs no words: a setter has those of its property, an overload those of its function."""
    decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", [])]
    return any(each.endswith(".setter") or each in ("overload", "typing.overload", "override") for each in decorators)


def test_every_public_name_says_what_it_is() -> None:
    without = [name for name, node in everything() if not ast.get_docstring(node) and not is_implied(node)]
    assert [name for name in without if not name.endswith("__init__")] == []


def test_the_first_line_is_a_sentence_that_ends() -> None:
    odd = []
    for name, node in everything():
        text = ast.get_docstring(node)
        if text:
            first = text.partition("\n\n")[0].rstrip()
            if not first.endswith(ENDINGS) or not (first[0].isupper() or first[0] in "`'\"[{(0123456789"):
                odd.append(f"{name}: {first[:80]}")
    assert odd == []


def test_every_parameter_and_result_has_a_type() -> None:
    untyped = []
    for name, node in everything():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            untyped += [
                f"{name}({each.arg})"
                for each in parameters
                if each and each.annotation is None and each.arg not in ("self", "cls")
            ]
            if node.returns is None:
                untyped.append(f"{name} -> ?")
    assert untyped == []


def test_the_check_sees_what_is_there() -> None:
    names = {name for name, _ in everything()}
    assert {"core.files", "core.training.settings.config.TrainingConfig.as_dict", "core.metrics.scores.score"} <= names
