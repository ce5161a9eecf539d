"""An explanation as pictures, each with what it shows and what it does not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from core.explain.explaining import Explanation
from core.explain.kinds import BRANCHES, CLASS_MAP, RECEPTIVE_FIELD, TAPS
from core.explain.maps import CHECKED_SHARE, LEAST_GAIN
from core.explain.taps import PHOTO, Tap
from core.model.output.render import ONLY_A_COLOR, ONLY_B_COLOR, confidence_map

PICTURE_PX = 800
"""The longer side of the photo in every picture."""
ROW_PX, FONT_PX, MARK_PX = 60, 40, 9
"""Two pictures stand beside each other on a page, at a third of their size or more: text of 40 px is 13 px there."""
STRENGTH = 0.6
BRIGHTEST_PERCENTILE = 99.5
"""Of a receptive field: single pixels far above the others would leave the rest black."""

RATE_COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115))
"""Orange, sky blue and bluish green of Okabe and Ito, which colour-blind people can distinguish."""


@dataclass(frozen=True)
class Evidence:
    """A part of an explanation: its kind, two sentences, and its picture, RGB; None where there is nothing to show."""

    kind: str
    shows: str
    does_not_show: str
    picture: Image.Image | None


def evidence(explanation: Explanation, photo: Image.Image) -> tuple[Evidence, ...]:
    """Return the parts of an explanation of an RGB photo, in the order of `KINDS`."""
    scale = PICTURE_PX / max(photo.size)
    shown = photo.resize((max(1, round(photo.width * scale)), max(1, round(photo.height * scale))))
    return (
        _class_map(explanation, shown),
        _receptive_field(explanation, shown),
        _taps(explanation, shown, scale),
        _branches(explanation),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _what(explanation: Explanation) -> str:
    return "this pixel" if explanation.object_HW is None else "this object"


def _class_map(explanation: Explanation, shown: Image.Image) -> Evidence:
    where, best_random = f"{explanation.class_name} at {_what(explanation)}", max(explanation.check.by_random)
    sharp = (
        f"With the brightest {_percent(CHECKED_SHARE)} of the photo left sharp and the rest blurred the probability is "
        f"{_percent(explanation.check.by_map)}, with as much left at random {_percent(best_random)} at most"
    )
    if explanation.map_HW is None:
        return Evidence(
            CLASS_MAP,
            f"No map. {sharp}. A map of the evidence for {where} is shown only if it is {_percent(LEAST_GAIN)} better "
            "than every random one.",
            "This does not mean that the class is wrong: a model can be sure of it from many places at once, or, as of "
            "background, because nothing speaks for another.",
            None,
        )
    return Evidence(
        CLASS_MAP,
        f"Bright places raise the logit of {where}: gradients of the backbone's last map, times the map. {sharp}.",
        "It is not an outline, shows nothing that lowers the logit, and is as coarse as the cells of that map.",
        _marked(_heat(shown, explanation.map_HW), explanation),
    )


def _receptive_field(explanation: Explanation, shown: Image.Image) -> Evidence:
    field_HW, reach = explanation.field_HW, explanation.reach
    brightest = float(np.percentile(field_HW, BRIGHTEST_PERCENTILE)) or 1.0
    level_HW = np.sqrt(np.clip(field_HW / brightest, 0, 1))
    return Evidence(
        RECEPTIVE_FIELD,
        f"Bright pixels of the photo change the logit of {explanation.class_name} at {_what(explanation)} most if they "
        f"change a little; brightness is the root of the gradient. Half of it lies within {reach.half_px:.0f} px, nine "
        f"tenths within {reach.most_px:.0f} px.",
        "It holds for this photo and small changes alone, and does not say whether a pixel speaks for the class or "
        "against it.",
        _marked(_heat(shown, level_HW), explanation),
    )


def _taps(explanation: Explanation, shown: Image.Image, scale: float) -> Evidence:
    rates = list(dict.fromkeys(tap.rate for tap in explanation.taps))
    colors = {rate: RATE_COLORS[number % len(RATE_COLORS)] for number, rate in enumerate(rates)}
    picture = _captioned(shown, [(_on_photo(rate, explanation.taps), colors[rate]) for rate in rates])
    draw = ImageDraw.Draw(picture)
    for tap in explanation.taps:
        if tap.where == PHOTO:
            left, top = ((at + 0.5 - side / 2) * scale for at, side in ((tap.x, tap.width), (tap.y, tap.height)))
            right, bottom = left + max(1, tap.width * scale), top + max(1, tap.height * scale)
            right, bottom = min(right, shown.width - 1), min(bottom, shown.height - 1)
            box = (min(max(0, left), right), min(max(0, top), bottom), right, bottom)
            draw.rectangle(box, outline=colors[tap.rate], width=3)
    return Evidence(
        TAPS,
        "Each square is a cell of the backbone's last map that an atrous rate reads for this pixel, drawn around the "
        "centre of what the cell sees; taps that fall outside the map read zeros.",
        f"A cell sees far more of the photo than its square, and the logit mixes several cells: the one whose taps "
        f"these are weighs {_percent(explanation.cell_share)}, and the last convolution mixes its neighbours in.",
        _marked(picture, explanation, shown.size),
    )


def _on_photo(rate: int, taps: Sequence[Tap]) -> str:
    of_rate = [tap for tap in taps if tap.rate == rate]
    return f"rate {rate}: {sum(tap.where == PHOTO for tap in of_rate)} of {len(of_rate)} taps on the photo"


def _branches(explanation: Explanation) -> Evidence:
    rows = [(branch.name, branch.contribution, branch.to_runner_up) for branch in explanation.branches]
    name, runner_up = explanation.class_name, explanation.runner_up_name
    return Evidence(
        BRANCHES,
        f"What each branch of ASPP adds to the logit of {name}, which goes from {explanation.silent:.2f} with all of "
        f"them off to {explanation.logit:.2f}; beside it what it adds to that of {runner_up}, the second best class.",
        "A branch's share is the mean over all orders of switching them on (Shapley value), since what one adds "
        "depends on the others; it does not say how a model trained without it would do.",
        _bars(rows, name, runner_up),
    )


def _heat(shown: Image.Image, level_HW: NDArray[np.float32]) -> Image.Image:
    """Return a photo in grey under a map in [0, 1], from dark blue to yellow."""
    colors = confidence_map(level_HW).resize(shown.size, Image.Resampling.BILINEAR)
    return Image.blend(shown.convert("L").convert("RGB"), colors, STRENGTH)


def _marked(picture: Image.Image, explanation: Explanation, photo_size: tuple[int, int] | None = None) -> Image.Image:
    """Draw a ring around the pixel into a picture of which the photo is the upper part, and return it."""
    width, height = photo_size or picture.size
    x = (explanation.at[0] + 0.5) * width / explanation.size[1]
    y = (explanation.at[1] + 0.5) * height / explanation.size[0]
    draw = ImageDraw.Draw(picture)
    for radius, color in ((MARK_PX + 2, (0, 0, 0)), (MARK_PX, (255, 255, 255))):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color, width=3)
    return picture


def _captioned(shown: Image.Image, lines: Sequence[tuple[str, tuple[int, int, int]]]) -> Image.Image:
    """Return a copy of a picture with lines of text below it, each with a square of its colour."""
    picture = Image.new("RGB", (max(shown.width, PICTURE_PX // 2), shown.height + ROW_PX * len(lines)), (255, 255, 255))
    picture.paste(shown)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT_PX)
    widest = max((font.getlength(text) for text, _ in lines), default=0.0)
    if (room := picture.width - 24 - FONT_PX) < widest:  # below a narrow photo
        font = ImageFont.load_default(FONT_PX * room / widest)
    for number, (text, color) in enumerate(lines):
        middle = shown.height + (number + 0.5) * ROW_PX
        draw.rectangle((8, middle - FONT_PX / 2, 8 + FONT_PX, middle + FONT_PX / 2), fill=color)
        draw.text((16 + FONT_PX, middle), text, fill=(0, 0, 0), font=font, anchor="lm")
    return picture


def _bars(rows: Sequence[tuple[str, float, float]], name: str, runner_up: str) -> Image.Image:
    """Return a chart of two bars in each row, from a common zero: blue for the class, orange for the runner-up."""
    values = [0.0, *(value for _, *pair in rows for value in pair)]
    low, high = min(values), max(values)
    left, right = PICTURE_PX // 3, PICTURE_PX - PICTURE_PX // 5
    per_unit = (right - left) / ((high - low) or 1)
    empty = Image.new("RGB", (PICTURE_PX, 2 * ROW_PX * len(rows)), (255, 255, 255))
    picture = _captioned(empty, [(name, ONLY_B_COLOR), (runner_up, ONLY_A_COLOR)])
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT_PX)
    zero = left - low * per_unit
    for number, (label, *pair) in enumerate(rows):
        top = 2 * ROW_PX * number
        draw.text((8, top + ROW_PX), label, fill=(0, 0, 0), font=font, anchor="lm")
        for value, color in zip(pair, (ONLY_B_COLOR, ONLY_A_COLOR), strict=True):
            end = zero + value * per_unit
            draw.rectangle((min(zero, end), top + 6, max(zero, end), top + ROW_PX - 2), fill=color)
            draw.text((max(zero, end) + 6, top + ROW_PX / 2), f"{value:+.2f}", fill=(0, 0, 0), font=font, anchor="lm")
            top += ROW_PX - 4
    draw.line((zero, 0, zero, empty.height), fill=(0, 0, 0))
    return picture
