"""Ask whether a pinned package has a known vulnerability: `make audit`. Exit 1 if one has.

Where nobody can be asked (no network, an index without that knowledge) it says so in a sentence and lets it be.
"""

import json
import subprocess
import sys
from typing import Any

COMMAND = (
    "-m", "pip_audit", "-r", "constraints.txt", "--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json",
)  # fmt: skip
MAX_SECONDS = 120


def main() -> int:
    """Ask, say what was found, and return the exit code."""
    packages = ask()
    known = [package for package in packages if "vulns" in package]
    if not known:
        print("audit: nobody could be asked about vulnerabilities; try again with a network.")
        return 0
    found = [(package, vulnerability) for package in known for vulnerability in package["vulns"]]
    for package, vulnerability in found:
        mended = " or ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"audit: {package['name']} {package['version']} has {vulnerability['id']}, mended in {mended}.")
    print(f"audit: {len(known)} of {len(packages)} pinned packages looked up, {len(found)} vulnerabilities known.")
    return 1 if found else 0


def ask() -> list[dict[str, Any]]:
    """Return what is known of every package, nothing where nobody answers."""
    try:
        command = [sys.executable, *COMMAND]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MAX_SECONDS)
        packages: list[dict[str, Any]] = json.loads(asked.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        return []
    return packages


if __name__ == "__main__":
    sys.exit(main())
