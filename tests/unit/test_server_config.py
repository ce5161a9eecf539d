"""How the dashboard is served: what config.toml says, and what Streamlit makes of it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ui.segment.models import MAX_CHECKPOINT_MB

ROOT = Path(__file__).parents[2]


def test_the_dashboard_is_local_and_tells_nobody() -> None:
    """With a config.toml that did not parse, Streamlit fell back to its defaults without a word: every interface."""
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["allowedHosts"] == ["127.0.0.1", "localhost"], (
        "a name of elsewhere that points here is refused"
    )
    assert config["server"]["maxUploadSize"] == MAX_CHECKPOINT_MB, "no uploader can ask for more than the server takes"
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showSidebarNavigation"] is False
    assert config["client"]["showErrorDetails"] == "type", "no traceback with paths in the browser"


@pytest.fixture(scope="module")
def in_effect(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every option as a server started from the project's folder has it, as it is written in TOML."""
    nobody = str(tmp_path_factory.mktemp("home"))  # whose own ~/.streamlit/config.toml says nothing
    shown = subprocess.run(
        [sys.executable, "-m", "streamlit", "config", "show"],
        cwd=ROOT, env=os.environ | {"HOME": nobody, "USERPROFILE": nobody}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    options: dict[str, str] = {}
    section = ""
    for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines():
        if header := re.fullmatch(r"\[([\w.]+)\]", line):
            section = header[1]
        # What is not set stands there as a comment with its default: `# enableCORS = true`.
        elif option := re.fullmatch(r"(?:# )?(\w+) = (.+)", line):
            options[f"{section}.{option[1]}"] = option[2]
    return options


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("server.address", '"127.0.0.1"'),
        ("server.enableCORS", "true"),  # else any page in the browser may open the WebSocket
        ("server.enableXsrfProtection", "true"),
        ("server.xsrfCookieSameSite", '"lax"'),
        ("server.enableStaticServing", "false"),
        ("server.enableAgentApi", "false"),
        ("browser.gatherUsageStats", "false"),
    ],
)
def test_what_is_in_effect(in_effect: dict[str, str], option: str, wanted: str) -> None:
    """A default that another version of Streamlit changes is seen here, not on the network."""
    assert in_effect[option] == wanted
