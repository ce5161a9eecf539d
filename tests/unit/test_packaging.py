"""What is handed to others: the container, the development container, the workflow; none of it can be run here."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.home import PROJECT_ROOT

DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text(encoding="utf-8")
WORKFLOW = PROJECT_ROOT / ".github" / "workflows" / "ci.yml"
MAKEFILE = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")
IN_VENV = Path(sys.executable).parent


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, each on one line."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M))
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in joined.splitlines() if line.strip()]


def test_the_container_has_no_root_and_says_whether_it_is_well() -> None:
    kinds = [kind for kind, _ in instructions()]
    stated = dict(instructions())
    assert stated["USER"] == "1000:1000"
    assert kinds.index("USER") < kinds.index("CMD")
    assert kinds.index("USER") > max(at for at, kind in enumerate(kinds) if kind in ("RUN", "COPY"))
    assert "/_stcore/health" in stated["HEALTHCHECK"]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", stated["FROM"]), "a version, never latest"


def test_the_packages_come_before_the_code() -> None:
    """A changed line of code must not install two gigabytes anew."""
    steps = [text for kind, text in instructions() if kind in ("COPY", "RUN")]
    installs = next(at for at, text in enumerate(steps) if "pip install" in text)
    assert [at for at, text in enumerate(steps) if re.match(r"(core|ui|pages|streamlit_app)", text)][0] > installs  # noqa: RUF015
    assert "-c constraints.txt" in steps[installs]
    assert "torch torchvision" in steps[installs], "the pair from one index"


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (PROJECT_ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for kind, text in instructions():
        if kind == "COPY":
            for source in text.split()[:-1]:
                assert (PROJECT_ROOT / source).exists(), source
                assert f"!{source}" in ignored, source
    assert "*" in ignored, "checkpoints, data and .git stay out"


def test_every_package_of_core_that_is_needed_is_in_the_container() -> None:
    rooms = {"core", "ui", "pages"}
    assert rooms <= {text.split()[0] for kind, text in instructions() if kind == "COPY"}


@pytest.mark.skipif(not (IN_VENV / "hadolint").exists(), reason="hadolint comes as a package for Linux on x86_64 only")
def test_hadolint_has_nothing_to_say() -> None:
    ended = subprocess.run(
        [IN_VENV / "hadolint", PROJECT_ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert ended.stdout == ""
    assert ended.returncode == 0


def test_the_development_container_makes_what_the_tests_need() -> None:
    about = json.loads((PROJECT_ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    target = about["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.M)
    assert about["forwardPorts"] == [8501]


# --- the workflow -----------------------------------------------------------------------------------------------------


def jobs() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert read["permissions"] == {"contents": "read"}
    found: dict[str, Any] = read["jobs"]
    return found


def test_the_workflow_calls_what_a_person_calls() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", MAKEFILE, re.M))
    for name, job in jobs().items():
        for step in job["steps"]:
            if "run" not in step:
                continue
            words = step["run"].split()
            assert words[0] in ("make", ".ci/run"), f"{name}: {step['run']}"
            if words[0] == "make":
                assert {word for word in words[1:] if "=" not in word} <= targets, step["run"]


def test_three_systems_and_three_pythons_are_tried() -> None:
    matrices = {name: job["strategy"]["matrix"] for name, job in jobs().items() if "strategy" in job}
    assert all(matrix["python"] == ["3.11", "3.12", "3.13"] for matrix in matrices.values())
    systems = " ".join([jobs()["linux"]["runs-on"], *matrices["elsewhere"]["system"]])
    assert all(system in systems for system in ("ubuntu", "macos", "windows"))
    assert all("timeout-minutes" in job for job in jobs().values())


@pytest.mark.parametrize("file", [".github", ".pre-commit-config.yaml"])
def test_yaml_is_meant_as_it_is_read(file: str) -> None:
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable, truthy: {check-keys: false}, "
    rules += "comments: {min-spaces-from-content: 1}}}"
    ended = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "-d", rules, PROJECT_ROOT / file],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stdout == ""


MAKE = shutil.which("make") or ""


@pytest.mark.skipif(not MAKE, reason="no make")
def test_make_lists_every_target_that_is_meant_for_people() -> None:
    shown = subprocess.run([MAKE, "help"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True).stdout
    assert {"demo", "run", "test", "check", "e2e", "bench", "audit", "image"} <= set(shown.split())
