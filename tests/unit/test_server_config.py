"""How the dashboard is served."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_dashboard_is_local_and_tells_nobody() -> None:
    """With a config.toml that did not parse, Streamlit fell back to its defaults without a word: every interface."""
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["maxUploadSize"] <= 50
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showSidebarNavigation"] is False
    assert "enableXsrfProtection" not in config["server"]  # on by default
    assert "enableCORS" not in config["server"]
