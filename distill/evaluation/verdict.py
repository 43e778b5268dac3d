"""A comparison's outcome in one sentence, with the figures that it rests on."""

from __future__ import annotations

import math

from distill.evaluation.comparison import SMALL, Comparison, Contrast


def verdict(comparison: Comparison, system: str, reference: str, from_teacher: bool = False) -> str:
    """Whether ``system`` is better than ``reference`` by the deciding measure over all judged queries.

    Args:
        comparison: holds both.
        system: the run that may be shipped.
        reference: the run that it is to beat.
        from_teacher: the judgments are a teacher's labels, which the sentence then says.
    """
    found = comparison.contrast(system, reference)
    figures = f"{found.measure} {found.system_mean:.3f} against {found.reference_mean:.3f}, {_difference(found)}"
    tests = f"{_p(found.p_holm)} after Holm's correction for {len(comparison.contrasts)} comparisons"
    if found.certain:
        outcome = f"{system} is {'better' if found.difference > 0 else 'worse'} than {reference}: {figures}; {tests}"
    else:
        no = "no" if from_teacher else "No"
        outcome = f"{no} difference is shown between {system} and {reference}: {figures}; {tests}"
        # two or three queries have no such figure
        if math.isfinite(found.detectable):
            outcome += f"; so many queries show a difference of {found.detectable:.3f} in four experiments of five"
    few = f"; fewer than {SMALL} queries prove little" if found.small else ""
    if from_teacher:
        return f"By a teacher's labels, not people's judgments, {outcome}{few}."
    return f"{outcome}{few}."


def _difference(found: Contrast) -> str:
    interval = f"95 % interval {found.low:+.3f} to {found.high:+.3f}"
    return f"{found.difference:+.3f} ({interval}, {found.queries} queries)"


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p = {value:.3f}".replace("0.", ".", 1)
