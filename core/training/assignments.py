"""Settings as a person types them on the command line: key=value."""

from typing import Any

from core.errors import ConfigError
from core.training.config import SETTING_TYPES, suggestion


def parse_settings(assignments: list[str]) -> dict[str, Any]:
    """Read `key=value` texts of the command line into typed values."""
    return dict(_parse_assignment(text) for text in assignments)


def _parse_assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals:
        raise ConfigError(f"'{text}' is not a setting; write key=value, as in epochs=10.")
    if name not in SETTING_TYPES:
        raise ConfigError(f"There is no setting '{name}'{suggestion(name)}.")
    return name, _parse_value(name, value.strip())


def _parse_value(name: str, text: str) -> Any:
    wanted = SETTING_TYPES[name]
    if wanted is bool:
        if text.lower() in ("true", "yes", "1", "false", "no", "0"):
            return text.lower() in ("true", "yes", "1")
        raise ConfigError(f"{name} is '{text}'; write true or false.")
    try:
        return wanted(text)
    except ValueError:
        kind = {int: "a whole number", float: "a number"}[wanted]
        raise ConfigError(f"{name} is '{text}'; it must be {kind}.") from None
