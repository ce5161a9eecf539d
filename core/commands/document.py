"""What a command returns, and how it is declared."""

from collections.abc import Callable
from typing import Any

Document = dict[str, Any]
"""The JSON document that `--json` prints."""

Add = Callable[..., Any]
"""(what acts, what shows its document to a person, an example) -> the parser of a command."""
