"""Which run is the demo's: the one that was made as such, on its data, with its settings."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.demo import write_demo
from core.home import demo_dir
from core.training import demo_run
from core.training.run import edits
from core.training.run.folders import Run, create_run
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import preset

DEMO = preset("demo")


def made(name: str = "demo", config: TrainingConfig = DEMO) -> Run:
    return create_run(name, demo_dir(), "demo", config)


def test_a_renamed_demo_is_still_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once renamed, it was taken for a run of somebody's own, and the demo began anew."""
    monkeypatch.setattr(demo_run, "make_data", lambda _on_progress=None: demo_dir())
    renamed = edits.rename(made(), "my first night")
    assert renamed.name == "my first night"
    assert demo_run.is_demo(renamed)
    assert demo_run.demo_run() == renamed


def test_a_demo_with_its_settings_of_before_is_still_the_demo() -> None:
    """It is finished or half done, and would be trained a second time."""
    before = dataclasses.replace(DEMO, image_size=96, batch_size=16, output_stride=16, train_fraction=1.0)
    assert demo_run.is_demo(made(config=before))


def test_drawn_scenes_are_known_wherever_they_lie_and_photos_are_none(tmp_path: Path, tiny_voc: Path) -> None:
    scenes = write_demo(tmp_path / "elsewhere", num_train=1, num_val=1)
    of = {folder: demo_run.is_drawn(create_run("mine", folder, "report", TrainingConfig()))
          for folder in (scenes, scenes.parent, scenes.parent.parent, demo_dir(), tiny_voc)}  # fmt: skip
    assert list(of.values()) == [True, True, True, True, False]


@pytest.mark.parametrize(
    "make",
    [
        lambda: made("mine"),
        lambda: edits.rename(made("mine"), "demo"),
        lambda: made(config=dataclasses.replace(DEMO, seed=1)),
        lambda: create_run("demo", demo_dir().parent, "demo", DEMO),
    ],
    ids=["made as another", "called demo", "other settings", "other data"],
)
def test_a_run_of_one_s_own_is_not_the_demo(make: Callable[[], Run]) -> None:
    """The demo trains its run to 50 epochs without asking."""
    assert not demo_run.is_demo(make())
