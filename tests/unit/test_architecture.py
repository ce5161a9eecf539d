"""The rules of the house, read from the source: who may import whom, and what must stay out of pages."""

import ast
import functools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from core.home import PROJECT_ROOT
from core.model.fast import dynamo
from tests.sources import APP, FILES, IMPORTS, SOURCES, importers_of, imports_of, module_name, tree_of

PACKAGES = sorted({file.parent for file in SOURCES if file.name == "__init__.py"})
MODULES = [file for file in SOURCES if file.name != "__init__.py"]

LIGHT = (
    "core.metrics", "core.download", "core.training.settings", "core.training.run", "core.training.trust", "core.study",
    "core.report",
)  # fmt: skip
"""Where nothing imports torch or streamlit, not even through others: what Home and Compare read with."""

ROOMS = ("api", "report", "review", "study", "training", "explain", "model", "data", "download", "metrics", "")
"""The rooms of core, each of which may import itself and those to its right; "" is the modules in no room but `api`."""

TRAINING = (
    "demo_run", "estimate", "loop", "corrupted", "held_out", "evaluation", "features", "loss", "distributed", "trust",
    "run", "settings", "",
)  # fmt: skip
"""The same within training."""


def room_of(name: str) -> str:
    """Return the room of a module of core; "program" for `__main__` and what it alone uses."""
    parts = name.split(".")
    if len(parts) > 1 and parts[1] in ("__main__", "terminal", "commands"):
        return "program"
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else ""


def test_the_reader_of_imports_sees_them_all(tmp_path: Path) -> None:
    file = PROJECT_ROOT / "core" / "metrics" / "imagined.py"
    text = "import a.b\nfrom .x import y\nfrom ..voc import VOID\ndef f():\n    from core.model import device\n"
    tree = tmp_path / "imagined.py"
    tree.write_text(text)

    class Imagined:
        name, parents = "imagined.py", file.parents

        def read_text(self, encoding: str) -> str:
            return tree.read_text(encoding=encoding)

        def relative_to(self, root: Path) -> Path:
            return file.relative_to(root)

    seen = set(imports_of(Imagined()))  # type: ignore[arg-type]
    assert {"a.b", "core.metrics.x.y", "core.voc.VOID", "core.model.device"} <= seen


def test_imports_go_one_way_from_pages_to_ui_to_core() -> None:
    assert set(importers_of("pages", "streamlit_app")) == set()
    assert {
        module for module in importers_of("ui") if not module.startswith(("pages.", "ui.", "streamlit_app"))
    } == set()


def test_what_is_of_one_page_is_used_by_that_page_alone() -> None:
    """But Home and Label show runs as Train does, Home verdicts as Compare; Present uses Compare and Segment.

    Segment hands photos to Label. The form of a report is on Compare and Train.
    """
    home = {"streamlit_app", "ui.home"}
    also = {
        "home": home,
        "train": home | {"ui.label"},
        "compare": home | {"pages.present", "ui.present"},
        "segment": home | {"ui.present"},
        "label": {"ui.segment"},
        "report": {"pages.compare", "ui.compare", "ui.train"},
    }
    wrong = [
        f"{module} imports ui.{room}"
        for room in (folder.name for folder in PACKAGES if folder.parent.name == "ui")
        for module in importers_of(f"ui.{room}")
        if not any(f"{module}.".startswith(f"{user}.") for user in {f"pages.{room}", f"ui.{room}", *also.get(room, ())})
    ]
    assert wrong == []


def test_core_knows_no_dashboard() -> None:
    assert not {module for module in importers_of("streamlit", "plotly") if module.startswith("core")}


def test_within_core_the_rooms_import_downwards() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, imported in IMPORTS.items()
        if module.startswith("core.") and room_of(module) != "program"
        for name in imported
        if name.startswith("core.") and (room_of(name) == "program" or _is_upwards(room_of(module), room_of(name)))
    ]
    assert wrong == []


def _is_upwards(importer: str, imported: str) -> bool:
    return ROOMS.index(imported) < ROOMS.index(importer)


def test_within_training_imports_go_one_way() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, imported in IMPORTS.items()
        if module.startswith("core.training.")
        for name in imported
        if name.startswith("core.training.") and TRAINING.index(_part(name)) < TRAINING.index(_part(module))
    ]
    assert wrong == []


def _part(name: str) -> str:
    return name.split(".")[2]


def test_a_program_is_imported_by_nobody() -> None:
    assert importers_of("core.__main__") == {}


def test_metrics_and_pages_import_no_torch() -> None:
    users = importers_of("torch", "torchvision")
    assert not [module for module in users if module.startswith(("core.metrics", "pages", "streamlit_app"))]
    assert [module for module in users if module.startswith("core.model")], "the check would see it"


def test_what_reads_runs_and_evaluations_imports_no_torch() -> None:
    modules = [
        name
        for name in map(module_name, SOURCES)
        if any(f"{name}.".startswith(f"{package}.") for package in LIGHT)
        or re.fullmatch(r"core\.(?!__main__|terminal)\w+", name)
    ]
    assert len(modules) > len(LIGHT), "the check would see it"
    program = (
        f"import sys, core.__main__, {', '.join(modules)}\n"
        "print([name for name in ('torch', 'streamlit', 'scipy.stats') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


COMPILES_LATE = """
import importlib.util
import os
import sys
from core.training.loop import optimization, trainer
from core.model.architectures import EFFICIENTNET, build_model, without_weights
from core.training.settings.config import TrainingConfig
import torch

with without_weights():
    build_model(EFFICIENTNET, 21, output_stride=16)
weight = torch.nn.Linear(1, 1)
weight.backbone = weight
optimizer = optimization.build_optimizer(TrainingConfig(), weight)
weight(torch.ones(1, 1)).sum().backward()
optimizer.step()
optimizer.zero_grad()
not_compiled = torch._disable_dynamo(lambda number: number * (3 if torch.compiler.is_compiling() else 2))
public = torch.compiler.disable(lambda number: number * (3 if torch.compiler.is_compiling() else 2))
not_compiled(weight.bias), public(weight.bias)
print(importlib.util.find_spec("torch._dynamo").origin[-19:], importlib.util.find_spec("torch._dynamo.utils").name)
print([name for name in ("torch._dynamo.eval_frame", "sympy") if name in sys.modules])
def compile_after(asked_for):
    if asked_for == "a module":
        from torch._dynamo.eval_frame import OptimizedModule
        assert OptimizedModule is torch._dynamo.OptimizedModule, "it is loaded once"
    if asked_for == "another name":
        from torch._dynamo.utils import counters
        assert counters is torch._dynamo.utils.counters
    doubled = torch.compile(lambda number: number * 2, backend="eager")
    print(doubled(torch.ones(1)).item(), torch._dynamo.config.cache_size_limit > 0, torch._dynamo.utils.__file__[-8:])
    for function in (not_compiled, public):
        print(torch.compile(lambda number: function(number) + 0, backend="eager")(torch.ones(1)).item())

for asked_for in sys.argv[1:]:  # each in a process that has imported what is above, and no more
    sys.stdout.flush()
    pid = os.fork() if len(sys.argv) > 2 else 0
    if not pid:
        print(asked_for)
        compile_after(asked_for)
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, asked_for
"""


LATER = ("a function", "a module", "another name")
TOGETHER = [LATER] if sys.platform == "linux" else [(way,) for way in LATER]
"""Elsewhere a process that has torch is better not forked."""


@pytest.mark.parametrize("ways", [*TOGETHER, ("switched off",)], ids="; ".join)
def test_what_compiles_is_imported_by_what_compiles_alone(
    ways: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took 1.8 s of every trainer, evaluation and first photo; afterwards it is the real one.

    Another release of torchvision or PyTorch may ask it for other names: they are the real ones too.
    """
    is_late = ways != ("switched off",)
    monkeypatch.setenv(dynamo.SWITCH, "1" if is_late else "0")
    command = [sys.executable, "-c", COMPILES_LATE, *ways]
    ended = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == [
        str(Path("_dynamo") / "__init__.py") + " torch._dynamo.utils",
        "[]" if is_late else "['torch._dynamo.eval_frame', 'sympy']",
        *(line for way in ways for line in (way, "2.0 True utils.py", "2.0", "2.0")),
    ]


@functools.cache
def reached_from(module: str) -> set[str]:
    """Return every module of ours that importing this one loads, imports within functions left out."""
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in FILES:
            continue
        seen.add(name)
        for node in tree_of(FILES[name]).body:
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return seen


@pytest.mark.parametrize("page", [APP, *sorted((PROJECT_ROOT / "pages").glob("*.py"))], ids=lambda file: file.stem)
def test_opening_a_page_does_not_import_torch(page: Path) -> None:
    users = importers_of("torch", "torchvision")
    heavy = [name for name in reached_from(module_name(page)) if name in users and _imports_at_top(name, users[name])]
    assert heavy == []


@pytest.mark.parametrize("page", [APP, *sorted((PROJECT_ROOT / "pages").glob("*.py"))], ids=lambda file: file.stem)
def test_a_page_that_draws_charts_has_pandas_whole(page: Path) -> None:
    """While another tab's thread was importing pandas, plotly looked into the half of it: a page was a traceback."""
    reached = reached_from(module_name(page))
    assert reached & set(importers_of("plotly")), "every page draws charts"
    assert "ui.charts" in reached
    assert _imports_at_top("ui.charts", {"pandas"})


def _imports_at_top(module: str, wanted: set[str]) -> bool:
    top = tree_of(FILES[module]).body
    names = {node.module for node in top if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    return bool(names & wanted)


@pytest.mark.parametrize("banned", [r"time\.sleep", r"\bsleep\(", r"st\.navigation", r"unsafe_allow_html\s*=\s*True"])
def test_pages_and_ui_never(banned: str) -> None:
    """LlamaBoard's `sleep(1); st.rerun()`; `pages/` beside `st.navigation` skips streamlit_app.py on a first visit."""
    files = [file for file in SOURCES if not module_name(file).startswith("core")]
    assert [str(file) for file in files if re.search(banned, file.read_text(encoding="utf-8"))] == []


def test_caches_are_kept_in_four_modules() -> None:
    users = [module_name(file) for file in SOURCES if "st.cache_" in file.read_text(encoding="utf-8")]
    assert users == [
        "ui.cached",
        "ui.compare.cached_comparison",
        "ui.dataset.cached_imports",
        "ui.segment.cached_segments",
    ]


def test_a_page_is_at_most_150_lines() -> None:
    pages = [APP, *sorted((PROJECT_ROOT / "pages").glob("*.py"))]
    assert [file.name for file in pages if len(file.read_text().splitlines()) > 150] == []


def test_nothing_is_opened_as_a_pickle() -> None:
    """Read from the calls, not from the text: a sentence for a user may name what this project never does."""
    calls = [
        (ast.unparse(node.func), {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords})
        for file in SOURCES
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Call)
    ]
    loads = [keywords for name, keywords in calls if name == "torch.load"]
    assert loads
    assert all(keywords.get("weights_only") == "True" for keywords in loads)
    assert all(keywords.get("weights_only", "True") == "True" for _, keywords in calls)
    assert all(keywords.get("allow_pickle", "False") == "False" for _, keywords in calls)
    assert set(importers_of("pickle")) == {"core.model.checkpoint.archive"}, (
        "and that one for the name of its error alone"
    )
    assert not [name for name, _ in calls if name in ("pickle.load", "pickle.loads", "pickle.Unpickler")]


def test_private_operations_of_torch_are_called_in_two_modules() -> None:
    """Behind its one switch, with the public way beside it. `torch._utils` and the like in texts are no calls."""
    private = re.compile(r"(torch|torchvision)(\.\w+)*\._(?!_)\w+|torch\.ops\.(?!aten\b)\w+")
    users = set()
    for file in SOURCES:
        for node in ast.walk(tree_of(file)):
            names = [ast.unparse(node)] if isinstance(node, ast.Attribute) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            if any(map(private.match, names)):
                users.add(module_name(file))
    assert users == {"core.model.fast.packed", "core.model.fast.int8"}


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_has_few_enough_modules_to_look_through() -> None:
    crowded = {str(folder): count for folder, count in Counter(file.parent for file in MODULES).items() if count > 14}
    assert crowded == {}


def test_a_small_module_that_one_other_uses_is_part_of_it() -> None:
    """Of a package's own imports, which are its face, none counts: what uses the package uses the module."""
    lines = {module_name(file): len(file.read_text(encoding="utf-8").splitlines()) for file in MODULES}
    users = {name: set(importers_of(name)) - {name.rpartition(".")[0]} for name in lines}
    small = {name: used_by for name, used_by in users.items() if len(used_by) == 1 and lines[name] < 40}
    assert len(users["core.errors"]) > 40, "the check would see it"
    assert small == {}


def test_no_two_modules_of_a_room_have_one_name() -> None:
    """A room is a folder of core with all that is in it, and ui."""
    names = Counter((_room(file), file.name) for file in MODULES)
    assert [name for name, count in names.items() if count > 1] == []


def _room(file: Path) -> tuple[str, ...]:
    folders = file.relative_to(PROJECT_ROOT).parts[:-1]
    return folders[:2] if folders[:1] == ("core",) else folders[:1]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda folder: str(folder.relative_to(PROJECT_ROOT)))
def test_the_docstring_of_a_package_is_the_map_of_its_modules(package: Path) -> None:
    docstring = ast.get_docstring(tree_of(package / "__init__.py")) or ""
    mapped = re.findall(r"^(\w+(?:\.py|/))  +\S", docstring, re.M)
    modules = [file.name for file in MODULES if file.parent == package]
    folders = [f"{folder.name}/" for folder in PACKAGES if folder.parent == package]
    assert sorted(mapped) == sorted([*modules, *folders])


def test_readme_s_map_shows_the_folders_and_nothing_else() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", readme, re.M | re.S)
    lines = next(block for block in blocks if "core/" in block and "pages/" in block).splitlines()
    assert len(lines) <= 45
    shown: set[Path] = set()
    parents = [PROJECT_ROOT]
    for line in lines:
        if found := re.match(r"( *)(\S+)/ ", line):
            depth = len(found[1]) // 2
            parents = [*parents[: depth + 1], parents[depth] / found[2]]
            shown.add(parents[-1])
    assert [folder for folder in shown if not folder.is_dir()] == []
    assert [
        folder for folder in PACKAGES if folder not in shown and len(folder.relative_to(PROJECT_ROOT).parts) < 3
    ] == []


def test_the_unit_tests_have_the_folders_of_what_they_test() -> None:
    unit = PROJECT_ROOT / "tests" / "unit"
    tested = {
        folder.relative_to(PROJECT_ROOT / "core") for folder in PACKAGES if PROJECT_ROOT / "core" in folder.parents
    }
    tested |= {folder.relative_to(PROJECT_ROOT) for folder in PACKAGES}
    folders = {file.parent.relative_to(unit) for file in unit.rglob("test_*.py")}
    assert folders - {Path()} - tested == set()


def test_no_two_test_files_have_one_name() -> None:
    """Tests are no packages: pytest refuses the second of two files of one name, and its tests never run."""
    names = Counter(file.name for file in (PROJECT_ROOT / "tests").rglob("test_*.py"))
    assert [name for name, number in names.items() if number > 1] == []
