"""Which photos a run trained on, and the sentence where some of them are now a test split."""

from pathlib import Path

from core import api
from core.data.dataset import fingerprint, open_dataset
from core.data.splits import set_aside_test
from core.training.run.folders import create_run
from core.training.run.log import LogWriter
from core.training.run.trained_on import trained_on, trained_on_test
from core.training.settings.config import TrainingConfig
from tests.small_data import write_list
from tests.small_models import save_lively_model
from tests.unit.ui.made_logs import leg


def test_a_checkpoint_that_trained_on_photos_of_test_is_said_to(tiny_voc: Path) -> None:
    """A test split was set aside after a run; its score on those photos was shown as a test score without a word."""
    data, config = open_dataset(tiny_voc), TrainingConfig()
    run = create_run("early", tiny_voc, "report", config)
    checkpoint = save_lively_model(run.path / "epoch_010.pt")
    log = LogWriter(run.log_path)
    log.write(leg(config=config.as_dict(), fingerprint=fingerprint((*data.split("train"), *data.split("val")))))
    log.close()
    train = [sample.name for sample in data.split("train")]
    assert len(trained_on(run) or ()) == len(train)
    assert trained_on_test(checkpoint, data) is None, "there is no test split yet"

    write_list(tiny_voc, "test", train[:1])
    counted = trained_on_test(checkpoint, open_dataset(tiny_voc))
    assert counted == "early trained on 1 photo of test: its scores on test are too high."
    write_list(tiny_voc, "test", [sample.name for sample in data.split("val")])
    assert trained_on_test(checkpoint, open_dataset(tiny_voc)) is None

    (tiny_voc / "ImageSets" / "Segmentation" / "test.txt").unlink()
    set_aside_test(tiny_voc, 0.25)
    assert trained_on(run) is None
    notes: list[str] = []
    api.evaluate(checkpoint, tiny_voc, "test", on_note=notes.append)
    api.evaluate(checkpoint, tiny_voc, "val", on_note=notes.append)
    assert ["may be among those it trained on" in note for note in notes] == [True, False]
    api.compare(checkpoint, checkpoint, tiny_voc, "test", on_note=notes.append)
    assert sum("may be among" in note for note in notes) == 2
