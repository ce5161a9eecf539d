"""Files of weights from the web, in torch hub's cache folder: downloaded once, whole and checked. Imports no torch.

    TORCH_HOME/hub/checkpoints/deeplabv3_resnet50_coco-cd0a2569.pth         whole; its hash begins as its name says
    TORCH_HOME/hub/checkpoints/deeplabv3_resnet50_coco-cd0a2569.pth.part    an interrupted download, to be resumed

torchvision uses the same folder, so each file is downloaded once for both.
"""

import os
import re
from pathlib import Path

from filelock import FileLock

from core.download.mirrors import Expected, MirrorError, UnreachableError, fetch_whole
from core.errors import DataError, WeightsError
from core.jobs import OnProgress

HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.")
"""torchvision's file names end in the first digits of the file's SHA-256."""


def hub_folder() -> Path:
    """Return torch hub's folder of weights, by the rule of `torch.hub.get_dir`."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME") or str(Path(cache) / "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def hub_file(url: str) -> Path:
    """Return the path of an address's file, downloaded or not."""
    return hub_folder() / url.rpartition("/")[2]


def download(url: str, size: int, on_bytes: OnProgress | None = None) -> Path:
    """Return the file of an address, downloaded if needed.

    An interrupted download is resumed by the next call, and a file with a wrong hash is removed. Two processes that
    want the same file wait for each other.

    `size` is that of the file in bytes, for servers that do not say it. A failing network, server, hash or disk raises
    `WeightsError`, which says how to get the file by hand.
    """
    file = hub_file(url)
    if file.is_file():
        return file
    by_hand = f"download {url} elsewhere and save it as {file}"
    digest = HASH_IN_NAME.search(file.name)
    expected = Expected("sha256", digest[1] if digest else "", size, what=f"the weights {file.name}")
    part = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{file.name}.lock")):
            if not file.is_file():  # else another process downloaded it meanwhile
                fetch_whole(url, part, expected, on_bytes or (lambda _done, _total: None))
                part.replace(file)
    except UnreachableError as error:
        raise WeightsError(f"No network for the weights {file.name} ({error}); {by_hand}.") from error
    except MirrorError as error:
        raise WeightsError(f"The weights {file.name} cannot be downloaded ({error}); {by_hand}.") from error
    except DataError as error:  # no room on the disk
        raise WeightsError(str(error)) from error
    except OSError as error:
        raise WeightsError(
            f"The folder {file.parent} cannot be written ({error.strerror}); let TORCH_HOME name another."
        ) from error
    return file
