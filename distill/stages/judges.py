"""Judges that need no fit: a model that writes the order down, a cross- or bi-encoder; and reasons on top of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from distill.errors import ModelError, first_line
from distill.models import (
    ModelReference,
    causal_model_without_weights,
    load_causal_model,
    load_config,
    load_tokenizer,
    runs_bf16_fast,
)
from labeling.judge import ScoreAdapter

if TYPE_CHECKING:
    from teachers.generative import GenerativeSettings, GenerativeTeacher
    from teachers.reasons import ReasonedTeacher, ReasonSettings, Teacher
    from teachers.writer import Writer

PairKind = Literal["cross_encoder", "bi_encoder"]
"""Models that score a pair alone."""

# ends of the architectures' names: of cross-encoders, and of models without any head
_CLASSIFIER = "ForSequenceClassification"
_HEADLESS = ("Model", "ForMaskedLM")


class CrossEncoderScorer:
    """Any cross-encoder that sentence-transformers loads, scoring with raw logits in fp32.

    Args:
        reference: as a recipe names models.

    Raises:
        ModelError: the model cannot be loaded, has no ranking head, or more than one output.
    """

    def __init__(self, reference: ModelReference) -> None:
        from sentence_transformers import CrossEncoder
        from torch.nn import Identity

        kind = (load_config(reference).architectures or [""])[0]
        if kind.endswith(_HEADLESS):
            # the library would give it a new head, and labels by chance
            raise ModelError(f"model {reference.text!r} ({kind}) has no ranking head; --bi-encoder takes bi-encoders")
        try:
            self._model = CrossEncoder(reference.fetched(), activation_fn=Identity())
        except (OSError, ValueError) as error:
            raise ModelError(f"model {reference.text!r}: {first_line(error)}") from error
        if self._model.num_labels != 1:
            raise ModelError(f"model {reference.text!r} gives {self._model.num_labels} scores a pair; one is needed")

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """One raw score a document, in the order given."""
        scores = self._model.predict([(query, document) for document in documents], show_progress_bar=False)
        return [float(score) for score in scores]


class BiEncoderScorer:
    """A sentence-transformers bi-encoder, scoring with cosines in fp32.

    Args:
        reference: as a recipe names models.

    Raises:
        ModelError: the model cannot be loaded, or is a cross-encoder.
    """

    def __init__(self, reference: ModelReference) -> None:
        from students.bi_encoder import BiEncoder

        kind = (load_config(reference).architectures or [""])[0]
        if kind.endswith(_CLASSIFIER):
            raise ModelError(f"model {reference.text!r} ({kind}) is a cross-encoder: --cross-encoder takes it")
        try:
            self._model = BiEncoder(reference.fetched())
        except (OSError, ValueError) as error:
            raise ModelError(f"model {reference.text!r}: {first_line(error)}") from error

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """The cosine of each document and the query, in the order given."""
        return self._model.score_pairs(query, documents)


def pair_judge(kind: PairKind, reference_text: str) -> ScoreAdapter:
    """A cross- or bi-encoder as a judge.

    Raises:
        ModelError: it cannot be loaded, or is of the other kind.
    """
    reference = ModelReference.parse(reference_text)
    scorer = CrossEncoderScorer(reference) if kind == "cross_encoder" else BiEncoderScorer(reference)
    return ScoreAdapter(scorer, pair_judge_description(kind, reference_text))


def pair_judge_description(kind: PairKind, reference_text: str) -> dict[str, Any]:
    """What `pair_judge` says of itself; nothing is loaded.

    Raises:
        ModelError: there is no such model.
    """
    model = ModelReference.parse(reference_text).identity
    return {"teacher": {"method": kind}, "model": model, "dtype": "float32"}


def generative_judge(reference_text: str, settings: GenerativeSettings, weights: bool = True) -> GenerativeTeacher:
    """A causal language model that writes the order of the documents down; without weights it can only say what it is.

    Raises:
        ModelError: it cannot be loaded.
    """
    from teachers.generative import GenerativeTeacher

    return GenerativeTeacher(open_writer(reference_text, weights), settings)


def with_reasons(
    judge: Teacher, reference_text: str, settings: ReasonSettings, weights: bool = True
) -> ReasonedTeacher:
    """The judge, its best documents given a reason by a causal language model.

    Raises:
        ModelError: the model cannot be loaded.
    """
    from teachers.reasons import ReasonedTeacher

    return ReasonedTeacher(judge, open_writer(reference_text, weights), settings)


def open_writer(reference_text: str, weights: bool = True) -> Writer:
    """A causal language model that answers in words; without weights it can only say what it is.

    Raises:
        ModelError: it cannot be loaded.
    """
    import torch

    from teachers.writer import Writer

    reference = ModelReference.parse(reference_text)
    dtype = torch.bfloat16 if runs_bf16_fast() else torch.float32
    load = load_causal_model if weights else causal_model_without_weights
    return Writer(load(reference, dtype), load_tokenizer(reference), reference.identity)
