"""A student's first training: a light ranker's scores of many lists, before the labels of the few that a teacher read.

A cross-encoder's new head has to learn from nothing what a bi-encoder's cosine knows; the cosine is cheap to ask.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from datasets import Dataset

from distill.collections.collection import Collection, Run
from distill.collections.trec import ranking
from distill.recipe.students import DecoderSection, EncoderSection, WarmStart
from distill.stages.training_lists import evenly_spaced


def lists_to_score(collection: Collection, run: Run, section: WarmStart) -> Run:
    """So many documents of each of the run's lists, evenly spaced, and so many of the whole collection; all score 0.

    The draws depend on the query's id alone; queries without candidates are left out.
    """
    everything = list(collection.documents)
    lists: Run = {}
    for query_id, scores in run.items():
        ranked = ranking(scores)
        if not ranked:
            continue
        places = evenly_spaced(range(len(ranked)), min(section.documents, len(ranked)))
        drawn = Random(query_id).sample(everything, min(section.random, len(everything)))
        lists[query_id] = dict.fromkeys([*(ranked[place] for place in places), *drawn], 0.0)
    return lists


def scored_lists(collection: Collection, scores: Run) -> Dataset:
    """The scored lists as students read them; the scores are the labels."""
    rows = [
        {
            "query": collection.query(query_id),
            "docs": [collection.text(doc_id) for doc_id in row],
            "labels": list(row.values()),
        }
        for query_id, row in scores.items()
    ]
    return Dataset.from_list(rows)


def after_warm_start(section: EncoderSection | DecoderSection, model: Path) -> EncoderSection | DecoderSection:
    """The student's settings in its training on labels, which begins with the model that the first one left."""
    return section.model_copy(update={"start": str(model), "warm_start": None})


def first_section(section: EncoderSection | DecoderSection) -> EncoderSection | DecoderSection:
    """The student's settings in its first training: what they say of labels and of dev lists plays no part yet.

    The scores are learned by MarginMSE, once, without term control; a decoder with other objectives has no warm start.
    """
    given = section.warm_start.trainer if section.warm_start else {}
    changes = {
        "warm_start": None, "loss": "margin_mse", "confidence_weight": False, "soup": 1, "patience": None,
        "trainer": {"num_train_epochs": 1, **given},
    }  # fmt: skip
    own = {"term_control_weight": 0.0} if isinstance(section, EncoderSection) else {}
    return section.model_copy(update={**changes, **own})
