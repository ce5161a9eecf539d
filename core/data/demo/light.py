"""Light and air: times of day, seasons, and the soft shading that gives flat shapes volume."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from core.data.demo.pen import Color

Field = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Mood:
    """A time of day: the sky from zenith to horizon, the clouds, the sun, and the tint of everything."""

    sky: tuple[Color, Color, Color]
    cloud: Color
    sun: Color
    tint: tuple[float, float, float]

    @property
    def haze(self) -> Color:
        """What distance fades into."""
        return self.sky[2]


@dataclass(frozen=True, kw_only=True)
class Season:
    """A time of year: grass from far to near, leaves, flowers, and whether snow lies."""

    grass: tuple[Color, Color]
    leaves: tuple[Color, ...]
    flowers: tuple[Color, ...]
    is_snowy: bool = False


MOODS = (
    Mood(  # morning
        sky=((116, 178, 222), (176, 214, 232), (250, 232, 206)),
        cloud=(255, 248, 238), sun=(255, 240, 190), tint=(1.02, 1.00, 0.96),
    ),
    Mood(  # noon
        sky=((70, 148, 214), (136, 194, 232), (214, 236, 240)),
        cloud=(255, 255, 255), sun=(255, 250, 214), tint=(1.02, 1.02, 1.00),
    ),
    Mood(  # golden hour
        sky=((112, 146, 186), (236, 196, 146), (255, 222, 150)),
        cloud=(255, 226, 184), sun=(255, 236, 160), tint=(1.06, 0.98, 0.86),
    ),
    Mood(  # dusk
        sky=((92, 100, 156), (192, 140, 172), (252, 184, 158)),
        cloud=(250, 198, 192), sun=(255, 206, 150), tint=(1.00, 0.93, 0.98),
    ),
    Mood(  # overcast
        sky=((142, 170, 196), (188, 206, 218), (234, 232, 222)),
        cloud=(240, 243, 246), sun=(240, 238, 226), tint=(0.99, 1.00, 1.02),
    ),
    Mood(  # soft turquoise spring day
        sky=((88, 176, 196), (154, 214, 212), (240, 240, 212)),
        cloud=(255, 253, 244), sun=(255, 246, 200), tint=(1.01, 1.02, 0.98),
    ),
)  # fmt: skip

SEASONS = (
    Season(  # spring
        grass=((168, 200, 128), (104, 164, 78)),
        leaves=((128, 180, 84), (150, 196, 96), (238, 176, 196), (96, 158, 82)),
        flowers=((255, 244, 200), (248, 190, 210), (255, 226, 110)),
    ),
    Season(  # summer
        grass=((156, 184, 104), (82, 142, 66)),
        leaves=((70, 130, 66), (92, 150, 72), (58, 116, 76), (112, 156, 70)),
        flowers=((236, 88, 76), (255, 236, 160), (250, 250, 240), (150, 130, 210)),
    ),
    Season(  # autumn
        grass=((206, 186, 112), (154, 144, 70)),
        leaves=((222, 142, 56), (200, 96, 50), (232, 182, 76), (150, 120, 60)),
        flowers=((226, 150, 60), (200, 90, 50)),
    ),
    Season(  # winter
        grass=((216, 226, 236), (196, 210, 228)),
        leaves=((156, 172, 190), (136, 158, 176), (176, 184, 204)),
        flowers=((240, 246, 250), (180, 196, 216)),
        is_snowy=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class World:
    """What the parts of one scene share."""

    rng: np.random.Generator
    mood: Mood
    season: Season
    horizon: float
    """Its height, 0 (top) to 1 (bottom)."""
    sun_x: float
    """Where the sun stands, -1 (left edge) to 1 (right edge)."""


def _lit(picture: Image.Image, light: Field) -> Image.Image:
    """Return the picture times the light, shape (height, width, 1 or 3)."""
    pixels = np.asarray(picture, dtype=np.float32) * light
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


def sculpt(picture: Image.Image, silhouette: Image.Image, sun_x: float) -> Image.Image:
    """Return the picture with the silhouette's edges lit from the sun's side above and darkened on the other side.

    The blurred silhouette is read as a height field; its slope towards the sun brightens.
    """
    reach = max(2, min(silhouette.size) // 40)
    small = silhouette.reduce(4).filter(ImageFilter.GaussianBlur(reach))
    height = np.asarray(small, dtype=np.float32) / 255
    down, right = np.gradient(height) if min(height.shape) > 1 else (height * 0, height * 0)
    slope = (0.9 * down - 0.7 * sun_x * right) * reach
    falling = np.linspace(0.06, -0.10, height.shape[0], dtype=np.float32)[:, None]
    gain = Image.fromarray((slope * 0.9 + falling).astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    light = np.clip(1 + np.asarray(gain), 0.62, 1.3)[..., None]
    return _lit(picture, light)


def wash(rng: np.random.Generator, size: tuple[int, int], cells: int, strength: float) -> Field:
    """Return smooth noise around 0 with about `cells` waves across: the unevenness of a water-colour wash."""
    coarse = rng.normal(0, strength, (max(2, cells * size[1] // size[0]), cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def grade(picture: Image.Image, world: World) -> Image.Image:
    """Return the finished picture under the mood's tint, with a light wash and paper grain."""
    rng, size = world.rng, picture.size
    grain = rng.normal(0, 0.014, (size[1], size[0])).astype(np.float32)
    paper = 1 + grain + wash(rng, size, 9, 0.02) + wash(rng, size, 70, 0.012)
    tint = np.array(world.mood.tint, dtype=np.float32)
    return _lit(picture, paper[..., None] * tint)
