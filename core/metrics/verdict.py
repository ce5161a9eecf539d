"""A comparison in one sentence, in English or Portuguese, with percentage points of mIoU."""

from typing import Literal, Protocol

from core.metrics.comparison import MIN_IMAGES, Comparison, Verdict

SENTENCES = {
    "en": {
        "beat": "{winner} {beats} {loser} by {delta} points of mIoU, {confidence} % interval {low} to {high}",
        "undecided": "{b} and {a} cannot be told apart on {images}: difference in mIoU {signed_delta} points, "
        "{confidence} % interval {signed_low} to {signed_high}",
        "few": "{b} and {a} cannot be told apart on {images}, which takes at least {least}: difference in mIoU "
        "{signed_delta} points",
        "nothing": "{b} and {a} cannot be compared: nothing in the masks is counted",
        "one photo": "1 photo",
        "photos": "{number} photos",
    },
    "pt": {
        "beat": "{winner} contra {loser}: {delta} pontos de mIoU a mais, intervalo de {confidence} % de {low} a {high}",
        "undecided": "{b} e {a} não se distinguem em {images}: diferença de mIoU de {signed_delta} pontos, "
        "intervalo de {confidence} % de {signed_low} a {signed_high}",
        "few": "{b} e {a} não se distinguem em {images}, são necessárias ao menos {least}: diferença de mIoU de "
        "{signed_delta} pontos",
        "nothing": "{b} e {a} não podem ser comparados: nada nas máscaras é contado",
        "one photo": "1 foto",
        "photos": "{number} fotos",
    },
}  # fmt: skip


def sentence(comparison: Comparison, a_label: str, b_label: str, language: str = "en") -> str:
    """Return the verdict as a sentence without a full stop.

    For example: `50 epochs beat 10 epochs by 21.4 points of mIoU, 95 % interval 17.9 to 24.8`.
    """
    words = SENTENCES[language]
    if comparison.delta_miou is None or comparison.low is None:
        return filled(words["nothing"], comparison, (a_label, b_label), language)
    kind = "beat"
    if comparison.verdict == "undecided":
        kind = "few" if comparison.images < MIN_IMAGES else "undecided"
    return filled(words[kind], comparison, (a_label, b_label), language)


class _Compared(Protocol):
    """B against A: two checkpoints, or two recipes; fractions, None where nothing was counted."""

    @property
    def delta_miou(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def confidence(self) -> float: ...
    @property
    def images(self) -> int: ...
    @property
    def verdict(self) -> Verdict: ...


def filled(text: str, comparison: _Compared, labels: tuple[str, str], language: str, **more: object) -> str:
    """Return a text of `SENTENCES` with the labels of A and B and the numbers in it; `more` are its other fields."""
    a, b = labels
    delta, low, high = (each or 0.0 for each in (comparison.delta_miou, comparison.low, comparison.high))
    is_worse = comparison.verdict == "worse"
    winner, loser = labels if is_worse else (b, a)
    near, far = (-high, -low) if is_worse else (low, high)
    return text.format(
        a=a,
        b=b,
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
        images=SENTENCES[language]["one photo" if comparison.images == 1 else "photos"].format(
            number=comparison.images
        ),
        least=MIN_IMAGES,
        **more,
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
