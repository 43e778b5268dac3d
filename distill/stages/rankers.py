"""Opens what can re-rank, by the libraries that it takes and no others, and ranks candidate lists with it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from pathlib import Path
from typing import Literal, Protocol, get_args

from distill.collections.collection import Collection, Run
from distill.errors import ModelError, first_line
from distill.models import ModelReference, load_config, runs_bf16_fast
from distill.progress import Advance
from distill.serving.graph_file import GRAPH, holds_graph_alone
from distill.stages.candidates import scored, texts

# Documents that are scored together: batches of like length, and texts that lists share encoded once; few enough that
# progress shows every minute with a cross-encoder on a processor.
DOCUMENTS_TOGETHER = 2_000

Backend = Literal["auto", "torch", "onnx"]
NumberType = Literal["float32", "bfloat16", "float16"]


class Ranker(Protocol):
    """A cross-encoder of torch or ONNX Runtime, or a bi-encoder."""

    def score_pairs(self, query: str, documents: Sequence[str]) -> list[float]:
        """One score per document, higher is better, in the order given."""
        ...

    def score_many(self, lists: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """One list of scores for each (query, documents)."""
        ...

    def count_tokens(self, query: str, documents: Sequence[str]) -> int:
        """Tokens that scoring these pairs sends through the model."""
        ...


@dataclass(frozen=True, slots=True)
class RankerReference:
    """A model with what runs it, as one word: ``./folder``, ``onnx:./folder``, ``bfloat16:./folder``.

    Args:
        model: see `ModelReference.parse`.
        backend: ``auto`` takes ONNX Runtime for a folder with a graph and no weights, or where torch is not installed,
            and torch for the rest.
        dtype: of torch's weights; a graph holds its own. ``auto`` is bf16 where the hardware multiplies it natively and
            the model can be run in it.
    """

    model: str
    backend: Backend = "auto"
    dtype: NumberType | Literal["auto"] = "float32"

    @classmethod
    def parse(cls, text: str, dtype: NumberType | Literal["auto"] = "float32") -> RankerReference:
        """Read ``[onnx:|torch:|float32:|bfloat16:|float16:]MODEL``; a number type means torch, ``dtype`` is without."""
        prefix, colon, model = text.partition(":")
        # a path may begin so itself
        if not colon or Path(text).exists():
            return cls(text, dtype=dtype)
        if prefix in ("onnx", "torch"):
            return cls(model, backend=prefix, dtype=dtype)  # type: ignore[arg-type]
        if prefix in get_args(NumberType):
            return cls(model, backend="torch", dtype=prefix)  # type: ignore[arg-type]
        return cls(text, dtype=dtype)

    def told(self, backend: Backend, dtype: NumberType | None) -> RankerReference:
        """The same with what a command's options say.

        Raises:
            ModelError: the text and the options contradict each other.
        """
        if backend != "auto" and self.backend not in ("auto", backend):
            raise ModelError(f"model {self.model!r} is asked for with {self.backend}, and --backend says {backend}")
        if dtype is not None and self.dtype not in ("float32", dtype):
            raise ModelError(f"model {self.model!r} is asked for in {self.dtype}, and --dtype says {dtype}")
        asked = backend if backend != "auto" else self.backend
        return replace(self, backend="torch" if asked == "auto" and dtype else asked, dtype=dtype or self.dtype)

    def settled(self) -> RankerReference:
        """The same with ``auto`` decided."""
        if self.backend != "auto":
            return self
        folder = Path(self.model).expanduser()
        graph = holds_graph_alone(folder) or ((folder / GRAPH).is_file() and importlib.util.find_spec("torch") is None)
        return replace(self, backend="onnx" if graph else "torch")


def open_ranker(reference: str | RankerReference, device: str | None = None, threads: int | None = None) -> Ranker:
    """An exported graph, a cross-encoder if the model classifies sequences, or a sentence-transformers bi-encoder.

    Args:
        reference: see `RankerReference.parse`.
        device: for torch, such as "cuda"; the first accelerator, or the processor, where None.
        threads: of ONNX Runtime; see `OnnxReranker.load`.

    Raises:
        ModelError: the model cannot be found or loaded, or the device is not one of its backend.
    """
    found = RankerReference.parse(reference) if isinstance(reference, str) else reference
    found = found.settled()
    if found.backend == "torch":
        return _torch_ranker(found, device)
    if device not in (None, "cpu"):
        raise ModelError(f"model {found.model!r}: an ONNX graph runs on the processor; --device {device!r} is torch's")
    if found.dtype not in ("auto", "float32"):
        raise ModelError(f"model {found.model!r}: an ONNX graph has its own number type; {found.dtype} is torch's")
    from distill.serving.onnx_reranker import OnnxReranker

    return OnnxReranker.load(ModelReference.parse(found.model).location, threads=threads)


def check_device(device: str | None) -> None:
    """Refuse a device that torch does not have here.

    Raises:
        ModelError: there is no such device.
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error)
        raise ModelError(f"--device {device!r}: {reason}; cpu is accepted, and any accelerator that is here") from None


def rerank(model: Path | str, collection: Collection, run: Run, on_progress: Advance | None = None) -> Run:
    """The run's candidates with the scores of what `open_ranker` opens.

    Raises:
        ModelError: the model cannot be found or loaded.
    """
    return score_run(open_ranker(str(model)), collection, run, on_progress)


def score_run(ranker: Ranker, collection: Collection, run: Run, on_progress: Advance | None = None) -> Run:
    """The run's candidates with the ranker's scores; progress counts lists."""
    lists = texts(collection, run)
    scores: list[list[float]] = []
    for together in _parts(lists):
        scores.extend(ranker.score_many(together))
        if on_progress is not None:
            on_progress(len(scores), len(lists))
    return scored(run, scores)


def _parts(lists: Sequence[tuple[str, Sequence[str]]]) -> Iterator[list[tuple[str, Sequence[str]]]]:
    """The lists in order, about `DOCUMENTS_TOGETHER` documents at a time."""
    before = accumulate((len(documents) for _, documents in lists), initial=0)
    for _, part in groupby(zip(before, lists, strict=False), key=lambda entry: entry[0] // DOCUMENTS_TOGETHER):
        yield [entry for _, entry in part]


def _torch_ranker(found: RankerReference, device: str | None) -> Ranker:
    # before the model's configuration is asked for, which takes transformers
    from students.scoring import Reranker
    from students.start_model import FP32_ONLY

    check_device(device)
    reference = ModelReference.parse(found.model)
    config = load_config(reference)
    fp32_only = config.model_type in FP32_ONLY
    dtype = found.dtype
    if dtype == "auto":
        dtype = "bfloat16" if runs_bf16_fast() and not fp32_only else "float32"
    if dtype != "float32" and fp32_only:
        raise ModelError(f"model {found.model!r}: transformers runs {config.model_type} in float32 alone; got {dtype}")
    kinds = config.architectures or [""]
    try:
        if kinds[0].endswith("ForSequenceClassification"):
            return Reranker.load(reference.fetched(), dtype=dtype, device=device)
        # a cross-encoder does without sentence-transformers: 260 MiB of memory less
        from students.bi_encoder import BiEncoder

        return BiEncoder(reference.fetched(), device, dtype)
    except (OSError, ValueError) as error:
        raise ModelError(f"model {found.model!r}: {first_line(error)}") from error
