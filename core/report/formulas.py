"""The formulas of the scores as MathML, which browsers draw without a library."""

from core.report.markup import Markup, joined, tag


def formulas() -> dict[str, Markup]:
    """Return the formula of every score by name."""
    return {
        "iou": _equation(_sub("IoU", "k"), _over(_tp(), _sum(_tp(), _fp(), _fn()))),
        "miou": _equation("mIoU", _mean_over("C", _sub("IoU", "k"))),
        "pixel_accuracy": _equation("PA", _over(_total(_tp()), _total(_sub("n", "k")))),
        "precision": _equation(_sub("P", "k"), _over(_tp(), _sum(_tp(), _fp()))),
        "recall": _equation(_sub("R", "k"), _over(_tp(), _sum(_tp(), _fn()))),
        "f1": _equation(_sub("F1", "k"), _over(_twice(_tp()), _sum(_twice(_tp()), _fp(), _fn()))),
        "fw_iou": _equation(
            "fwIoU", joined(_total(), _over(_sub("n", "k"), _total(_sub("n", "j"), index="j")), _sub("IoU", "k"))
        ),
        "boundary_iou": _equation(
            _sub("bIoU", "k"),
            _over(
                _size(joined(_sub("G", "k"), _operator("∩"), _sub("D", "k"))),
                _size(joined(_sub("G", "k"), _operator("∪"), _sub("D", "k"))),
            ),
        ),
        "boundary_f": _equation(
            _sub("bF", "k"),
            _over(
                joined(_twice(_sub("p", "k")), _sub("r", "k")),
                _sum(_sub("p", "k"), _sub("r", "k")),
            ),
        ),
        "floor": _equation(
            "mIoU₀", joined(_over(_number("1"), _size(_name("T"))), _over(_sub("n", "0"), _total(_sub("n", "k"))))
        ),
        "delta": _equation("Δ", joined(_sub("mIoU", "B"), _operator("−"), _sub("mIoU", "A"))),
    }


def _equation(left: str, right: Markup) -> Markup:
    named = left if isinstance(left, Markup) else _name(left)
    return tag("math", tag("mrow", named, _operator("="), right), display="block")


def _name(text: str) -> Markup:
    return tag("mi", text) if len(text) == 1 else tag("mi", text, mathvariant="normal")


def _number(text: str) -> Markup:
    return tag("mn", text)


def _operator(text: str) -> Markup:
    return tag("mo", text)


def _sub(name: str, index: str) -> Markup:
    return tag("msub", _name(name), _number(index) if index.isdigit() else _name(index))


def _tp() -> Markup:
    return _sub("TP", "k")


def _fp() -> Markup:
    return _sub("FP", "k")


def _fn() -> Markup:
    return _sub("FN", "k")


def _twice(term: Markup) -> Markup:
    return joined(_number("2"), tag("mspace", width="0.15em"), term)


def _sum(*terms: Markup) -> Markup:
    first, *rest = terms
    return joined(first, *(joined(_operator("+"), term) for term in rest))


def _over(top: Markup, bottom: Markup) -> Markup:
    return tag("mfrac", tag("mrow", top), tag("mrow", bottom))


def _total(term: Markup | None = None, *, index: str = "k") -> Markup:
    return joined(tag("munder", _operator("∑"), _name(index)), term or Markup())


def _mean_over(classes: str, term: Markup) -> Markup:
    within = tag("mrow", _name("k"), _operator("∈"), _name(classes))
    return joined(_over(_number("1"), _size(_name(classes))), tag("munder", _operator("∑"), within), term)


def _size(term: Markup) -> Markup:
    return joined(_operator("|"), term, _operator("|"))
