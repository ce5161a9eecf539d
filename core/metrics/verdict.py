"""A comparison in one sentence, in English or Portuguese, with percentage points of mIoU."""

from typing import Literal

from core.metrics.comparison import MIN_IMAGES, Comparison

SENTENCES = {
    "en": {
        "beat": "{winner} {beats} {loser} by {delta} points of mIoU, {confidence} % interval {low} to {high}",
        "undecided": "{b} and {a} cannot be told apart on {images}: difference in mIoU {signed_delta} points, "
        "{confidence} % interval {signed_low} to {signed_high}",
        "few": "{b} and {a} cannot be told apart on {images}, which takes at least {least}: difference in mIoU "
        "{signed_delta} points",
        "nothing": "{b} and {a} cannot be compared: nothing in the masks is counted",
        "one image": "1 image",
        "images": "{number} images",
    },
    "pt": {
        "beat": "{winner} contra {loser}: {delta} pontos de mIoU a mais, intervalo de {confidence} % de {low} a {high}",
        "undecided": "{b} e {a} não se distinguem em {images}: diferença de mIoU de {signed_delta} pontos, "
        "intervalo de {confidence} % de {signed_low} a {signed_high}",
        "few": "{b} e {a} não se distinguem em {images}, são necessárias ao menos {least}: diferença de mIoU de "
        "{signed_delta} pontos",
        "nothing": "{b} e {a} não podem ser comparados: nada nas máscaras é contado",
        "one image": "1 imagem",
        "images": "{number} imagens",
    },
}  # fmt: skip


def sentence(comparison: Comparison, a_label: str, b_label: str, language: str = "en") -> str:
    """Return the verdict as a sentence without a full stop.

    For example: `50 epochs beat 10 epochs by 21.4 points of mIoU, 95 % interval 17.9 to 24.8`.
    """
    words = SENTENCES[language]
    delta, low, high = comparison.delta_miou, comparison.low, comparison.high
    if delta is None or low is None or high is None:
        return words["nothing"].format(a=a_label, b=b_label)
    is_worse = comparison.verdict == "worse"
    winner, loser = (a_label, b_label) if is_worse else (b_label, a_label)
    near, far = (-high, -low) if is_worse else (low, high)

    kind = "beat"
    if comparison.verdict == "undecided":
        kind = "few" if comparison.images < MIN_IMAGES else "undecided"
    return words[kind].format(
        a=a_label,
        b=b_label,
        winner=winner,
        loser=loser,
        beats=beats(winner),
        delta=points(abs(delta), language),
        low=points(near, language),
        high=points(far, language),
        signed_delta=points(delta, language, "+"),
        signed_low=points(low, language, "+"),
        signed_high=points(high, language, "+"),
        confidence=percent(comparison.confidence, language),
        images=words["one image" if comparison.images == 1 else "images"].format(number=comparison.images),
        least=MIN_IMAGES,
    )


def points(fraction: float, language: str = "en", sign: Literal["", "+"] = "") -> str:
    """Return a fraction in percentage points with one decimal; zero has no sign."""
    text = f"{100 * fraction + 0.0:{sign}.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0")
    return text.replace(".", ",") if language == "pt" else text


def percent(confidence: float, language: str = "en") -> str:
    """Return a confidence in percent with at most four digits: `95`, `98.33`."""
    return f"{100 * confidence:.4g}".replace(".", "," if language == "pt" else ".")


def beats(winner: str) -> str:
    """Return the English verb: `50 epochs beat`, `last.pt beats`."""
    return "beat" if winner.endswith(" epochs") else "beats"
