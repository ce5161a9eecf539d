"""Commands that run in this process."""

import os
import sys

import pytest

from core.__main__ import main
from tests.unit.commands.calls import Command, Ended


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    monkeypatch.setattr(os, "nice", lambda _: 0)
    # A proxy that nobody runs: no command of these tests gets out.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["core", *map(str, arguments)])
        capsys.readouterr()
        try:
            code = main()
        except SystemExit as ending:
            code = int(ending.code or 0)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run
