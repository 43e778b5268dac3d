"""Opens what can re-rank; apart from training, whose libraries take twice the memory that scoring needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill.errors import ModelError
from distill.models import ModelReference, load_config
from students.scoring import Reranker

if TYPE_CHECKING:
    from students.bi_encoder import BiEncoder


def open_ranker(reference_text: str, device: str | None = None) -> Reranker | BiEncoder:
    """A cross-encoder if the model classifies sequences, else a sentence-transformers bi-encoder.

    Args:
        reference_text: see `ModelReference.parse`.
        device: such as "cuda"; the first accelerator, or the processor, where None.

    Raises:
        ModelError: the model cannot be found or loaded.
    """
    reference = ModelReference.parse(reference_text)
    kinds = load_config(reference).architectures or [""]
    try:
        if kinds[0].endswith("ForSequenceClassification"):
            return Reranker.load(reference.location, device=device)
        # a cross-encoder does without sentence-transformers: 260 MiB of memory less
        from students.bi_encoder import BiEncoder

        return BiEncoder(reference.location, device)
    except (OSError, ValueError) as error:
        raise ModelError(f"model {reference_text!r}: {str(error).strip().splitlines()[0]}") from error
