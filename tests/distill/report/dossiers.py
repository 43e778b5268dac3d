"""Dossiers of made-up runs, for the tests of the page: a plain one, and one in which every text wants to be code."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from distill.collections.collection import Qrels, Run
from distill.evaluation.agreement import agreement
from distill.evaluation.changes import largest_changes
from distill.evaluation.comparison import compare
from distill.evaluation.dossier import DEPTHS, Dossier, SystemFacts
from distill.evaluation.measures import evaluate, mean_measures

NAMES = ("bm25", "student", "teacher")
HOSTILE = (
    "<script>alert(1)</script>",
    "</svg></td></table></script></style></title>",
    "]]> --> &lt;b&gt; &amp;amp;",
    "{{ 7*7 }} {% raw %} ${7*7}",
    '" onmouseover="alert(2)" \' autofocus onfocus=alert(3) x=\'',
    "a\x00b\x07c\x1b[31md",
    "\u202egnp.exe\u2066",
    "half \ud83d of a pair",
    "אבג עברית and \ufdd0 \U0001ffff",
    "W" * 3000,
)


def dossier(count: int = 40, names: tuple[str, ...] = NAMES, text: str = "words of no meaning", **more) -> Dossier:
    """Later systems are better; the last is compared with the first, which lacks the first query.

    Args:
        count: so many queries, each with 12 judged candidates, two of them relevant.
        names: of the systems.
        text: of every query and document, behind its id.
        more: fields of the dossier to replace.
    """
    return replace(_made(count, names, text), **more)


@cache
def _made(count: int, names: tuple[str, ...], text: str) -> Dossier:
    chance = np.random.default_rng(0)
    qrels = {f"q{n:03}": {f"d{n}-{i}": int(i < 2) for i in range(12)} for n in range(count)}
    runs = {
        name: {q: {d: g + chance.normal() * 1.2 / place for d, g in docs.items()} for q, docs in qrels.items()}
        for place, name in enumerate(names, start=1)
    }
    system, reference, ids = names[-1], names[0], list(qrels)
    del runs[reference]["q000"]
    slices = {"length: short": ids[:30], "length: long": ids[30:], "odd": ids[1::2], f"column: {text[:200]}": ids[::2]}
    compared = compare(
        runs, qrels, ["nDCG@10", "RR@10"], {name: frozenset(part) for name, part in slices.items()}, resamples=200
    )
    worst, best = largest_changes(compared, runs, qrels, system, reference)
    moved = {movement.doc_id for change in worst + best for movement in change.movements}
    return Dossier(
        title="a made-up comparison",
        comparison=compared,
        system=system,
        reference=reference,
        verdict=f"{system} is better than {reference}.",
        judgments="made up",
        from_teacher=False,
        facts={name: _facts(runs[name], qrels, 10.0**place) for place, name in enumerate(names)},
        worst=worst,
        best=best,
        agreements={name: agreement(run, runs[names[1]]) for name, run in runs.items()},
        ceiling=agreement(runs[names[-1]], runs[names[1]]),
        teacher=names[1],
        queries={change.query_id: f"{change.query_id} {text}" for change in worst + best},
        documents={doc_id: f"{doc_id} {text}" for doc_id in moved},
        first_stage=reference,
        resamples=200,
    )


def hostile_dossier() -> Dossier:
    """Every text holds all of `HOSTILE`, names as much of it as trec_eval takes."""
    text = " ".join(HOSTILE)
    names = ("<script>alert(1)</script>", "</svg>]]>{{ 7*7 }}", "x" * 300 + "\u202e")
    return dossier(names=names, text=text, title=text, verdict=text, judgments=text)


def _facts(run: Run, qrels: Qrels, milliseconds: float) -> SystemFacts:
    means = mean_measures(evaluate(run, qrels, [f"nDCG@{depth}" for depth in DEPTHS]))
    by_depth = dict(zip(DEPTHS, means.values(), strict=True))
    return SystemFacts(judged=0.5, recall=1.0, depth=12, by_depth=by_depth, milliseconds=milliseconds)
