"""Promise against outcome: `python -m core bench promise`.

Thresholds chosen on one half of the starter's 150 held-out photos (`checkpoints/starter/trust.npz`; BENCH_FIGURES names
other figures, such as `trust --out` writes), and what came of them on the other half, over 50 random halvings. The
halves are exchangeable, so the mean over halvings falls below the promise by chance alone: by about the standard error
printed.
"""

import os
from pathlib import Path

import numpy as np

from core.metrics.risk import AIMS, Promise, RiskCurve, promised
from core.model.weights import starter
from core.training import trust
from tests.bench._rounds import print_figures

HALVINGS = 50


def outcome(curve: RiskCurve, aim: float) -> dict[str, float]:
    """Return the promise, what came of it over the halvings (mean, lowest, standard error), and the share kept.

    `abstains` is the share of the halvings in which the promise needs a threshold at all, `stability` what the promise
    is lower by, the mean over halvings.
    """
    random, num_photos = np.random.default_rng(0), len(curve.loss_NT)
    right, kept, found_in, abstains = list[float](), list[float](), list[Promise](), list[bool]()
    for _ in range(HALVINGS):
        order_N = random.permutation(num_photos)
        chosen_on, other = order_N[: num_photos // 2], order_N[num_photos // 2 :]
        found = promised(RiskCurve(curve.kept_NT[chosen_on], curve.loss_NT[chosen_on]), aim)
        assert found
        found_in.append(found)
        right.append(1 - curve.loss_NT[other, found.threshold].mean())
        kept.append(curve.kept_NT[other, found.threshold].mean())
        abstains.append(found.threshold > 0)
    return {
        "promised": float(np.mean([each.promise for each in found_in])),
        "right": float(np.mean(right)),
        "lowest": min(right),
        "error": float(np.std(right) / HALVINGS**0.5),
        "kept": float(np.mean(kept)),
        "abstains": float(np.mean(abstains)),
        "stability": float(np.mean([each.stability for each in found_in])),
    }


def main() -> None:
    """Print a row for each share to be right, and the figures."""
    curve = trust.read(Path(os.environ.get("BENCH_FIGURES", starter.trust_path()))).curve
    print(
        "| to be right | promised | right, mean | lowest | standard error | kept | halvings that abstain | stability |"
    )
    figures = {}
    for aim in AIMS:
        found = outcome(curve, aim)
        print(f"| {aim:.0%} |", " | ".join(f"{100 * value:.2f} %" for value in found.values()), "|")
        figures |= {f"{100 * aim:.0f}: {name}": value for name, value in found.items()}
    print_figures("promise", figures, {})


if __name__ == "__main__":
    main()
