"""The model card of a student: what it was made of, how good it is, what it cannot do, and under which licence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, hf_hub_download

from students.passages import PassageSettings

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Origin:
    """Where a student comes from, as far as its maker knows and the student's own settings do not say.

    Attributes:
        base: name of the start model, such as its hub id; None takes the last part of where it was loaded from.
        licence: of the start model, such as "apache-2.0"; None reads it from the start model's own card.
        data: facts about the label lists, in the order in which the card names them, such as the collection.
        teacher: facts about the teacher, likewise, such as its model and the hash of its description.
        dev_judgments: what the dev lists' judgments are, where they are not people's.
        hub_id: of the start model on the hub; None where it is what training was given, or there is none.
        version: of the start model, where known: tells weights apart that were found in one place.
    """

    base: str | None = None
    licence: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    teacher: Mapping[str, Any] = field(default_factory=dict)
    dev_judgments: str | None = None
    hub_id: str | None = None
    version: str | None = None


UNTOLD = Origin()


@dataclass(frozen=True)
class CardFacts:
    """What training itself knows. `dev_ndcg` is of the saved model over `dev_lists` lists; None if not measured."""

    start: str
    lists: int
    pairs: int
    steps: int
    dev_lists: int
    dev_ndcg: float | None
    max_tokens: int
    passages: PassageSettings | None
    settings: Mapping[str, Any]


def card_metadata(origin: Origin, facts: CardFacts) -> dict[str, str]:
    """The start model and its licence, under the names that the hub knows."""
    licence = licence_of(origin, facts.start)
    metadata = {} if licence == UNKNOWN else {"license": licence.partition(":")[0]}
    # a folder's path is nothing to the hub, and nobody else's business
    hub_id = origin.hub_id or (None if Path(facts.start).exists() else facts.start)
    return metadata if hub_id is None else metadata | {"base_model": hub_id}


def card_body(origin: Origin, facts: CardFacts) -> str:
    """The card's text below the example."""
    parts = [
        "## Data and teacher",
        _lines({"label lists": f"{facts.lists} ({facts.pairs} pairs of query and document)", **origin.data}),
        _lines(origin.teacher or {"teacher": UNKNOWN}),
        "## Training",
        _lines(
            {
                "start model": origin.base or Path(facts.start).name,
                "version of the start model": origin.version or UNKNOWN,
                "licence of the start model": licence_of(origin, facts.start),
                "loss": facts.settings.get("loss", UNKNOWN),
                "steps": facts.steps,
            }
        ),
        f"```json\n{json.dumps(facts.settings, indent=2, ensure_ascii=False)}\n```",
        "## Metrics",
        _metrics(origin, facts),
        "## Limits",
        "\n".join(f"- {sentence}" for sentence in _limits(facts)),
    ]
    return "\n\n".join(parts)


def licence_of(origin: Origin, start: str) -> str:
    """The start model's licence as told, else as its own card says, else "unknown"; "other: NAME" is one of its own."""
    if origin.licence is not None:
        return origin.licence
    try:
        card = Path(start) / "README.md" if Path(start).exists() else Path(hf_hub_download(start, "README.md"))
        data = ModelCard.load(card, ignore_metadata_errors=True).data
    # no card, no network, or a card whose metadata is no YAML: none of it should cost a finished training
    except (OSError, ValueError, yaml.YAMLError):
        return UNKNOWN
    licence, name = getattr(data, "license", None), getattr(data, "license_name", None)
    if not isinstance(licence, str):
        return UNKNOWN
    return f"{licence}: {name}" if licence == "other" and isinstance(name, str) else licence


def _metrics(origin: Origin, facts: CardFacts) -> str:
    if facts.dev_ndcg is None and facts.dev_lists:
        return "Not measured: there were dev lists, but no evaluation by them fell into the training."
    if facts.dev_ndcg is None:
        return "Not measured: the student was trained without dev lists."
    if origin.dev_judgments is not None:
        return (
            f"No person has judged its dev lists. By {origin.dev_judgments}, the best checkpoint's agreement is "
            f"nDCG@10 {facts.dev_ndcg:.4f} over {facts.dev_lists} queries: how near it comes to its teacher, not how "
            "good it is."
        )
    return (
        f"Dev nDCG@10 {facts.dev_ndcg:.4f}, the best checkpoint's, over {facts.dev_lists} queries that have a relevant "
        "candidate: the quality of the order of the given candidates, not of a whole search."
    )


def _limits(facts: CardFacts) -> Sequence[str]:
    sentences = [
        "A score orders the documents of one query. It is no probability, and scores of two queries do not compare.",
        "It was trained on a teacher's labels and can repeat the teacher's mistakes; other kinds of text and other "
        "languages than those of the label lists were not tried.",
    ]
    if facts.passages is None:
        cut = f"Query and document are cut off at {facts.max_tokens} tokens together; the rest is not read."
        return [cut, *sentences]
    shown = facts.passages
    most = "" if shown.most is None else f", the first {shown.most} of them"
    return [
        f"Pairs are cut off at {facts.max_tokens} tokens. Score a longer document in passages of at most "
        f"{shown.tokens} tokens with {shown.overlap} tokens of overlap{most}: score each with the query; the best "
        "score is the document's. It was trained so; `config.json` holds the numbers under `passages`.",
        *sentences,
    ]


def _lines(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {_one_line(value)}" for name, value in facts.items())


def _one_line(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())
