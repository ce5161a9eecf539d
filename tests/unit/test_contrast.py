"""What is on the screen can be read: WCAG 2's contrast ratios of the theme, the charts and the report.

AA asks 4.5 of text and 3 of what else must be seen. Not asked of grid lines, faint areas without text, and the colours
of classes, which are VOC's own and have an outline.
"""

import re
import tomllib
from collections.abc import Sequence

import numpy as np
import pytest

from core.home import PROJECT_ROOT
from core.report.html.page import TEMPLATES
from ui import charts
from ui.compare import why_charts
from ui.dataset import statistics_charts

Color = tuple[float, float, float]

THEMES = tomllib.loads((PROJECT_ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
CAPTION_OPACITY = 0.6
"""Of the text's colour, in which Streamlit 1.67 draws captions; measured in the browser."""

LIGHT, DARK = re.findall(r":root \{(.*?)\}", TEMPLATES.get_template("report.css").render(), re.S)
REPORT = {
    "light": dict(re.findall(r"--([\w-]+): (#\w{6})", LIGHT)),
    "dark": dict(re.findall(r"--([\w-]+): (#\w{6})", DARK)),
}
MODES = ("light", "dark")


def rgba(color: str) -> tuple[Color, float]:
    """Read `#rrggbb` or `rgba(...)` into channels in [0, 255] and an opacity in [0, 1]."""
    if color.startswith("#"):
        red, green, blue = (float(int(color[at : at + 2], 16)) for at in (1, 3, 5))
        return (red, green, blue), 1.0
    red, green, blue, opacity = (float(part) for part in re.findall(r"[\d.]+", color))
    return (red, green, blue), opacity


def over(front: Color, opacity: float, back: Color) -> Color:
    red, green, blue = (opacity * f + (1 - opacity) * b for f, b in zip(front, back, strict=True))
    return red, green, blue


def luminance(color: Color) -> float:
    """Return WCAG 2's relative luminance."""
    linear = [(c / 255) / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(front: str | Color, back: str | Color) -> float:
    """Return WCAG 2's contrast ratio of two colours, from 1 to 21."""
    values = [luminance(rgba(color)[0] if isinstance(color, str) else color) for color in (front, back)]
    return (max(values) + 0.05) / (min(values) + 0.05)


def on_scale(scale: Sequence[tuple[float, str]], value: float, back: str) -> Color:
    """Return the colour of a value on a plotly scale, as it looks on a ground."""
    stops = [at for at, _ in scale]
    parts = np.array([[*rgba(color)[0], rgba(color)[1]] for _, color in scale])
    red, green, blue, opacity = (float(np.interp(value, stops, parts[:, channel])) for channel in range(4))
    return over((red, green, blue), opacity, rgba(back)[0])


def test_the_ratio_is_the_one_of_wcag() -> None:
    assert ratio("#000000", "#ffffff") == 21
    assert ratio("#ffffff", "#ffffff") == 1
    assert ratio("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


# --- the theme ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize("text", ["textColor", "linkColor", "codeTextColor"])
def test_text_can_be_read(mode: str, ground: str, text: str) -> None:
    assert ratio(THEMES[mode][text], THEMES[mode][ground]) >= 4.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
def test_captions_can_be_read(mode: str, ground: str) -> None:
    """Captions were at 4.2 in light: Streamlit draws them in 60 % of the text's colour, which was a soft black."""
    back = rgba(THEMES[mode][ground])[0]
    assert ratio(over(rgba(THEMES[mode]["textColor"])[0], CAPTION_OPACITY, back), back) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_the_accent_is_read_on_the_page_and_under_white(mode: str) -> None:
    """Buttons are white on it, the open tab is written in it. On a chosen pill, a tenth of it over the page, it has 4.2
    in dark: no colour does all three, since Streamlit's buttons are white whatever the accent is.
    """
    accent, ground = THEMES[mode]["primaryColor"], THEMES[mode]["backgroundColor"]
    assert ratio(accent, ground) >= 4.49
    assert ratio("#ffffff", accent) >= 4.49
    pill = over(rgba(accent)[0], 0.1, rgba(ground)[0])
    assert ratio(accent, pill) >= 4.2
    assert ratio(accent, THEMES[mode]["secondaryBackgroundColor"]) >= 3


@pytest.mark.parametrize("mode", MODES)
def test_lines_and_marks_can_be_seen(mode: str) -> None:
    ground = THEMES[mode]["backgroundColor"]
    for color in [*THEMES[mode]["chartCategoricalColors"], charts.NEUTRAL]:
        assert ratio(color, ground) >= 3, color


# --- charts ---------------------------------------------------------------------------------------------------------


SCALES = {
    "confusion": (why_charts.CONFUSION_SCALE, [why_charts.STRONG]),
    "change": (why_charts.CHANGE_SCALE, [0.5 - why_charts.STRONG_CHANGE / 2, 0.5 + why_charts.STRONG_CHANGE / 2]),
    "together": (statistics_charts.TOGETHER_SCALE, [statistics_charts.STRONG]),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SCALES)
def test_numbers_in_cells_can_be_read(mode: str, name: str) -> None:
    """They were grey on faint cells, 3.1 on white, and white on half-strong ones, 3.3."""
    scale, strong = SCALES[name]
    ground = THEMES[mode]["backgroundColor"]
    for value in np.linspace(0, 1, 401):
        is_strong = value >= strong[-1] or (len(strong) == 2 and value <= strong[0])
        if any(abs(value - at) < 0.0011 for at in strong) and not is_strong:
            continue  # the step itself, a thousandth wide
        text = charts.WHITE if is_strong else THEMES[mode]["textColor"]
        cell = on_scale(scale, float(value), ground)
        assert ratio(text, cell) >= 4.5, value
        if is_strong:
            assert ratio(cell, ground) >= 3, value


# --- the report -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", ["ink", "soft", "accent"])
def test_the_report_can_be_read(mode: str, text: str) -> None:
    colors = REPORT[mode]
    assert min(ratio(colors[text], colors[ground]) for ground in ("ground", "panel")) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_the_report_s_warnings_and_lines_can_be_seen(mode: str) -> None:
    colors = REPORT[mode]
    assert ratio(colors["alarm"], colors["alarm-ground"]) >= 4.5
    lines = [color for name, color in colors.items() if re.fullmatch(r"s\d", name)]
    assert len(lines) == 5
    assert min(ratio(color, colors["ground"]) for color in lines) >= 3
