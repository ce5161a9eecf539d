"""What the sources never do: run a text, start a shell, open a pickle, unpack without the filter."""

import ast
import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from core.home import PROJECT_ROOT
from tests.sources import SOURCES, importers_of, tree_of
from ui.words import plain, without_pictures


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Give every call in the sources with where it is."""
    for file in SOURCES:
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Call):
                yield f"{file.relative_to(PROJECT_ROOT)}:{node.lineno}", node


def named(call: ast.Call, name: str) -> ast.expr | None:
    """Return the value that a call gives to a named argument."""
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def is_constant(value: ast.expr | None, wanted: object) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


def called(call: ast.Call) -> str:
    """Return what is called, as it is written."""
    return ast.unparse(call.func)


BANNED = frozenset(
    {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp", "yaml.load", "pickle.load",
     "pickle.loads", "torch.hub.load", "shelve.open", "marshal.loads", "subprocess.getoutput", "os.execvp"}
)  # fmt: skip


def test_nothing_that_runs_a_text_is_called() -> None:
    assert [f"{where} {called(call)}" for where, call in calls() if called(call) in BANNED] == []
    assert importers_of("dill", "joblib", "yaml", "shelve", "marshal") == {}
    trees = [tree_of(file) for file in SOURCES]
    read = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in read if ast.unparse(node.value) == "pickle"}
    assert used == {"UnpicklingError"}, "caught, and nothing else"


def test_no_process_is_started_through_a_shell() -> None:
    """A name with `; rm -rf ~` in it is one argument of a list, never a part of a line that a shell reads."""
    assert [where for where, call in calls() if (shell := named(call, "shell")) and not is_constant(shell, False)] == []
    started = [call for _, call in calls() if called(call) in ("subprocess.Popen", "subprocess.run")]
    assert started, "the check would see it"
    assert not [call for call in started if isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp)]


def test_files_are_opened_as_plain_tensors_and_arrays() -> None:
    """A pickle runs what its author wrote; a checkpoint from elsewhere is opened as tensors or not at all."""
    loads = [(where, call) for where, call in calls() if called(call) in ("torch.load", "np.load")]
    assert {called(call) for _, call in loads} == {"torch.load", "np.load"}, "the check would see it"
    option = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}
    for where, call in loads:
        name, wanted = option[called(call)]
        assert is_constant(named(call, name), wanted), where


def test_an_archive_is_unpacked_through_the_filter_alone() -> None:
    unpacked = [(where, call) for where, call in calls() if called(call).endswith((".extract", ".extractall"))]
    assert unpacked, "the check would see it"
    for where, call in unpacked:
        value = named(call, "filter")
        assert isinstance(value, ast.Constant), where
        assert value.value == "data", where


def test_one_module_opens_connections() -> None:
    """Nothing leaves the machine but the downloads that somebody asked for: VOC here, weights through torchvision."""
    users = importers_of("urllib.request", "http.client", "socket", "requests", "httpx", "aiohttp", "ftplib", "smtplib")
    assert set(users) == {"core.download.mirrors"}


def test_what_is_shown_and_no_constant_is_plain() -> None:
    """`?run=![](http://elsewhere/)` made the browser fetch that address: a warning is Markdown, pictures included."""
    boxes = {"st.error", "st.warning", "st.info", "st.success"}
    texts = [(where, call.args[0]) for where, call in calls() if called(call) in boxes]
    bare = [where for where, text in texts if isinstance(text, ast.Name | ast.Attribute)]
    assert bare == []


def test_a_note_fetches_nothing() -> None:
    assert without_pictures("# Why\n![x](http://elsewhere/x.png)") == "# Why\n!\\[x](http://elsewhere/x.png)"


@given(st.text(max_size=60))
def test_a_plain_text_holds_no_live_sign_of_markdown(text: str) -> None:
    shown = plain(text)
    unescaped = re.sub(r"\\[\\\[\]<$`*~]", "", shown)  # a backslash and the sign that it takes the meaning from
    assert not set(unescaped) & set("\\[]<$`*~")
