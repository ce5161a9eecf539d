"""A file that is made on demand is there until its page is drawn again, whatever other people's pages do."""

from types import SimpleNamespace

import pytest
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest

from tests.sources import importers_of
from ui import downloads, internals

ME = "my session"


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> MemoryMediaFileStorage:
    """Streamlit's own storage and manager, in place of those of a running server, and the script run of a session."""
    storage = MemoryMediaFileStorage("/media")
    server = SimpleNamespace(media_file_mgr=MediaFileManager(storage))
    monkeypatch.setattr(internals.runtime, "exists", lambda: True)
    monkeypatch.setattr(internals.runtime, "get_instance", lambda: server)
    monkeypatch.setattr(internals, "get_script_run_ctx", lambda: SimpleNamespace(session_id=ME))
    return storage


def end_scripts_of_others(manager: MediaFileManager) -> None:
    """Sweep as Streamlit does when a script ends; the second time it removes what the first time found."""
    for _ in range(2):
        manager.remove_orphaned_files()


def saved(manager: MediaFileManager) -> str:
    """Press the button: return the name of the file that the browser is asked to fetch."""
    make = downloads._held(lambda: b"mask", "photo_mask.png", "image/png")
    url = manager.execute_deferred(manager.add_deferred(make, "image/png", "1.2", "photo_mask.png"))
    return url.rpartition("/")[2]


def test_a_file_is_held_until_the_page_is_drawn_again(storage: MemoryMediaFileStorage) -> None:
    """Of twenty people who saved a mask at once up to six got nothing: the browser said "canceled"."""
    manager = internals.runtime.get_instance().media_file_mgr
    name = saved(manager)
    end_scripts_of_others(manager)
    assert storage.get_file(name).content == b"mask"

    manager.clear_session_refs(ME)  # as when its own script begins
    end_scripts_of_others(manager)
    with pytest.raises(MediaFileStorageError):
        storage.get_file(name)


def test_with_the_public_api_alone_a_file_is_saved_but_not_held(
    storage: MemoryMediaFileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also shows when Streamlit holds such files itself: then `ui/internals.py` can go."""
    monkeypatch.setattr(internals, "IS_USED", False)
    manager = internals.runtime.get_instance().media_file_mgr
    name = saved(manager)
    assert storage.get_file(name).content == b"mask"
    end_scripts_of_others(manager)
    with pytest.raises(MediaFileStorageError):
        storage.get_file(name)


@pytest.mark.parametrize("is_used", [True, False])
def test_the_button_is_streamlit_s_own_with_and_without_the_switch(
    is_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page() -> None:
        from ui.downloads import offer

        offer("Save the mask", lambda: b"mask", "photo_mask.png", "image/png")

    monkeypatch.setattr(internals, "IS_USED", is_used)
    app = AppTest.from_function(page).run()
    assert not app.exception
    (button,) = app.get("download_button")
    assert button.proto.label == "Save the mask"


def test_streamlit_s_internals_are_used_in_one_module() -> None:
    assert set(importers_of("streamlit.runtime")) == {"ui.internals"}
