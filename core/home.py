"""The folders that Atrous writes, such as `checkpoints/` and `datasets/`, in `$ATROUS_HOME` or beside the code."""

import os
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """Return the folder that holds `checkpoints/`, `studies/`, `datasets/` and `exports/`."""
    return Path(os.environ.get("ATROUS_HOME") or PROJECT_ROOT).resolve()


def checkpoints_dir() -> Path:
    """Return the folder of the runs."""
    return home() / "checkpoints"


def datasets_dir() -> Path:
    """Return the folder of the data sets that Atrous draws or downloads."""
    return home() / "datasets"


def exports_dir() -> Path:
    """Return the folder of the models that the dashboard exports."""
    return home() / "exports"


def studies_dir() -> Path:
    """Return the folder of the studies."""
    return home() / "studies"


def demo_dir() -> Path:
    """Return the `VOC2012` folder of the demo data, which may not exist yet."""
    return datasets_dir() / "demo" / "VOCdevkit" / "VOC2012"
