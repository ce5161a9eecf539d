"""A file that is made on demand is there until its page is drawn anew, whatever other people's pages do."""

from types import SimpleNamespace

import pytest
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from ui import downloads

ME = "my session"


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> MemoryMediaFileStorage:
    """Streamlit's own storage and manager, in place of those of a running server."""
    storage = MemoryMediaFileStorage("/media")
    server = SimpleNamespace(media_file_mgr=MediaFileManager(storage))
    monkeypatch.setattr(downloads.runtime, "exists", lambda: True)
    monkeypatch.setattr(downloads.runtime, "get_instance", lambda: server)
    return storage


def end_scripts_of_others(manager: MediaFileManager) -> None:
    """Sweep as Streamlit does when a script ends; the second time it removes what the first time found."""
    for _ in range(2):
        manager.remove_orphaned_files()


def saved(manager: MediaFileManager, **arguments: object) -> str:
    """Press the button: return the name of the file that the browser is told to fetch."""
    make = downloads._held(lambda: b"mask", "photo_mask.png", "image/png", **arguments)  # type: ignore[arg-type]
    url = manager.execute_deferred(manager.add_deferred(make, "image/png", "1.2", "photo_mask.png"))
    return url.rpartition("/")[2]


def test_a_file_is_held_until_the_page_is_drawn_anew(storage: MemoryMediaFileStorage) -> None:
    """Of twenty people who saved a mask at once up to six got nothing: the browser said "canceled"."""
    manager = downloads.runtime.get_instance().media_file_mgr
    name = saved(manager, context=SimpleNamespace(session_id=ME))
    end_scripts_of_others(manager)
    assert storage.get_file(name).content == b"mask"

    manager.clear_session_refs(ME)  # as when its own script begins
    end_scripts_of_others(manager)
    with pytest.raises(MediaFileStorageError):
        storage.get_file(name)


def test_without_holding_it_would_be_gone(storage: MemoryMediaFileStorage) -> None:
    """Tells when Streamlit holds such files by itself, and `ui/downloads.py` can become a plain button."""
    manager = downloads.runtime.get_instance().media_file_mgr
    name = saved(manager, context=None)
    end_scripts_of_others(manager)
    with pytest.raises(MediaFileStorageError):
        storage.get_file(name)
