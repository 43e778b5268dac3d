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

# ends of the architectures' names: of cross-encoders, and of causal models, whose "yes" is scored against their "no"
_CLASSIFIER = "ForSequenceClassification"
_CAUSAL = "ForCausalLM"


class CrossEncoderScorer:
    """Any cross-encoder that sentence-transformers loads, scoring with raw logits in fp32.

    Args:
        reference: as a recipe names models.

    Raises:
        ModelError: the model cannot be loaded, has no ranking head or more than one output, or is a causal model whose
            tokenizer has no tokens "yes" and "no".
    """

    def __init__(self, reference: ModelReference) -> None:
        from sentence_transformers import CrossEncoder
        from sentence_transformers.cross_encoder.modules import LogitScore
        from torch.nn import Identity

        kind = _architecture(reference)
        if not kind.endswith((_CLASSIFIER, _CAUSAL)):
            # the library would give it a new head, and labels by chance
            raise ModelError(
                f"model {reference.text!r} ({kind or 'no architectures in its config.json'}) has no ranking head; "
                f"accepted are architectures that end in {_CLASSIFIER} or {_CAUSAL}; --bi-encoder takes bi-encoders"
            )
        try:
            self._model = CrossEncoder(reference.fetched(), activation_fn=Identity())
        except (OSError, ValueError) as error:
            raise ModelError(f"model {reference.text!r}: {first_line(error)}") from error
        if self._model.num_labels != 1:
            raise ModelError(f"model {reference.text!r} gives {self._model.num_labels} scores a pair; one is needed")
        answers, unknown = self._model[-1], self._model.tokenizer.unk_token_id
        if isinstance(answers, LogitScore) and unknown in {answers.true_token_id, answers.false_token_id} - {None}:
            # where the tokenizer knows neither word every pair would score 0
            raise ModelError(f"model {reference.text!r}: its tokenizer has no tokens 'yes' and 'no', which are scored")

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

        kind = _architecture(reference)
        if kind.endswith(_CLASSIFIER):
            raise ModelError(f"model {reference.text!r} ({kind}) is a cross-encoder: --cross-encoder takes it")
        try:
            self._model = BiEncoder(reference.fetched())
        except (OSError, ValueError) as error:
            raise ModelError(f"model {reference.text!r}: {first_line(error)}") from error

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """The cosine of each document and the query, in the order given."""
        return self._model.score_pairs(query, documents)


def _architecture(reference: ModelReference) -> str:
    """The name of the model's class as its configuration has it, fetched if need be; empty where it names none."""
    return (load_config(reference).architectures or [""])[0]


class _NotLoaded:
    """Stands in a judge that is only asked what it is."""

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """Never any scores.

        Raises:
            ModelError: always.
        """
        raise ModelError("this judge was opened without its weights: it can say what it is, and cannot score")


def pair_judge(kind: PairKind, reference_text: str, weights: bool = True) -> ScoreAdapter:
    """A cross- or bi-encoder as a judge; without weights it can only say what it is.

    Raises:
        ModelError: it cannot be loaded, or is of the other kind.
    """
    description = pair_judge_description(kind, reference_text)
    if not weights:
        return ScoreAdapter(_NotLoaded(), description)
    reference = ModelReference.parse(reference_text)
    scorer = CrossEncoderScorer(reference) if kind == "cross_encoder" else BiEncoderScorer(reference)
    return ScoreAdapter(scorer, description)


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
