"""What others have published on VOC 2012, each with its protocol: no verdict on a run here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published result: mIoU as a fraction on VOC 2012 val, how it came about, and how many images were trained on.

    `images_seen` counts an image each time it is seen; None where that is not told.
    """

    system: str
    miou: float
    protocol: str
    images_seen: int | None = None


PUBLISHED = (
    Published(
        "torchvision DeepLabV3-ResNet50",
        0.664,
        "trained and evaluated on COCO images with VOC's classes: not a score on VOC val (pixel accuracy 92.4 %)",
    ),
    Published("mmseg DeepLabV3-R50-D8, 20k", 0.7617, "trainaug, 512 px, batch 16", 20_000 * 16),
    Published("mmseg DeepLabV3-R50-D8, 40k", 0.7768, "trainaug, 512 px, batch 16", 40_000 * 16),
    Published("VainF DeepLabV3-ResNet50", 0.769, "output stride 16, evaluated on 513 px centre crops"),
    Published("DeepLabv2 ResNet-101", 0.7635, "without CRF; 77.69 % with it"),
    Published(
        "TensorFlow DeepLab v3+ Xception65", 0.822, "COCO and trainaug; 83.6 % with scales and flips, 300 x the time"
    ),
)


def share_of_schedule(images_seen: int, published: Published) -> float | None:
    """Return how much of a published training a run has had, counted in images seen; None where that is not told."""
    return images_seen / published.images_seen if published.images_seen else None
