"""Scores pairs with an exported ONNX graph as `students.scoring.Reranker` does with torch, and without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from distill.errors import ModelError, first_line
from distill.serving.onnx_folder import OnnxFolder, read_onnx_folder
from distill.serving.threads import default_threads
from students.batching import token_batches
from students.long_pairs import Windows, shortened
from students.passages import best_passage_scores, cut

OUTPUT = "logits"
# Small batches have less padding and stay in the processor's caches. MiniLM on one busy core, in pairs a second of
# processor time. Pairs of 68 tokens: int8 47 at 1,024 tokens, 51 at 512, 55 at 256, 58 at 128; fp32 25, 30 and 27 at
# 1,024, 512 and 256; torch in fp32 28. Pairs of 29 tokens: int8 115, 131 and 151 at 1,024, 512 and 256.
BATCH_TOKENS = 256
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


class OnnxReranker:
    """A re-ranker whose folder holds an ONNX graph; it runs on the processor.

    Args:
        folder: from `read_onnx_folder`.
        session: its graph, opened.
        batch_tokens: most tokens (padding included) of one run of the graph.
        in_passages: cut long documents as the model's configuration says, and take each one's best passage; False
            scores each document in one pass as other software does.
    """

    def __init__(
        self,
        folder: OnnxFolder,
        session: onnxruntime.InferenceSession,
        batch_tokens: int = BATCH_TOKENS,
        in_passages: bool = True,
    ) -> None:
        if batch_tokens < 1:
            raise ValueError(f"batch_tokens must be positive, got {batch_tokens}")
        self.folder = folder
        self.session = session
        self.batch_tokens = batch_tokens
        self.passages = folder.passages if in_passages else None
        # a tokenizer of its own: one whose truncation changes between calls could not serve two threads at once
        self._cutter = Tokenizer.from_str(folder.tokenizer.to_str()) if self.passages else None
        self._inputs = [node.name for node in session.get_inputs()]

    @classmethod
    def load(cls, folder: str | os.PathLike[str], in_passages: bool = True, threads: int | None = None) -> OnnxReranker:
        """Open an exported folder.

        Args:
            folder: what `distill export --target onnx` or `onnx-int8` wrote.
            in_passages: see the class.
            threads: of one run; where None, ``OMP_NUM_THREADS``, or the processors that this process may use.

        Raises:
            ModelError: the folder has no graph, or a file in it is missing or broken; the message says what to do.
        """
        read = read_onnx_folder(folder)
        return cls(read, open_graph(read, threads or default_threads()), in_passages=in_passages)

    def score_pairs(self, query: str, documents: Sequence[str]) -> list[float]:
        """One raw score per document, higher is better, in the order given."""
        return self.score_many([(query, documents)])[0]

    def score_many(self, lists: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """One list of scores for each (query, documents), in the order given."""
        return best_passage_scores(lists, self._cut, self._scores)

    def count_tokens(self, query: str, documents: Sequence[str]) -> int:
        """Tokens of these pairs that `score_pairs` sends through the model, as they are cut, without padding."""
        passages = list(chain.from_iterable(self._cut(list(documents))))
        return sum(len(encoding.ids) for encoding in self._encode([query] * len(passages), passages))

    def _cut(self, documents: list[str]) -> list[list[str]]:
        return cut(self._cutter, documents, self.passages)

    def _encode(self, queries: list[str], documents: list[str]) -> list[Encoding]:
        tokenizer = self.folder.tokenizer
        if cutting := tokenizer.truncation:
            alone = partial(tokenizer.encode, add_special_tokens=False)
            windows = Windows(alone, cutting["max_length"], cutting["direction"])
            queries, documents = shortened(queries, documents, windows)
        return tokenizer.encode_batch(list(zip(queries, documents, strict=True)))

    def _scores(self, queries: list[str], documents: list[str]) -> list[float]:
        encodings = self._encode(queries, documents)
        scores = np.empty(len(encodings), dtype=np.float32)
        for batch in token_batches([len(encoding.ids) for encoding in encodings], self.batch_tokens):
            (logits,) = self.session.run([OUTPUT], self._features([encodings[i] for i in batch]))
            scores[batch] = np.asarray(logits, dtype=np.float32)[:, 0]
        return scores.tolist()

    def _features(self, encodings: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
        """The graph's inputs, each (batch, tokens)."""
        shape = len(encodings), max(1, *(len(encoding.ids) for encoding in encodings))
        filling = {"input_ids": self.folder.padding_id, "token_type_ids": self.folder.padding_type, "attention_mask": 0}
        features = {name: np.full(shape, filling[name], dtype=np.int64) for name in self._inputs}
        for row, encoding in enumerate(encodings):
            count = len(encoding.ids)
            place = slice(shape[1] - count, None) if self.folder.pads_left else slice(count)
            columns: dict[str, Any] = {
                "input_ids": encoding.ids,
                "token_type_ids": encoding.type_ids,
                "attention_mask": 1,
            }
            for name, array in features.items():
                array[row, place] = columns[name]
        return features


def open_graph(folder: OnnxFolder, threads: int) -> onnxruntime.InferenceSession:
    """The folder's graph, ready to run on the processor.

    Raises:
        ModelError: ONNX Runtime cannot run it, or it is no re-ranker's.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # All else is the library's default: basic optimisation alone is a fifth slower (94 pairs a second, not 115), and
    # with the arena or the memory pattern off nothing is gained beyond the noise (122 and 124).
    try:
        session = onnxruntime.InferenceSession(str(folder.graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's errors have no class in common
        reason = first_line(error)
        raise ModelError(
            f"{folder.graph}: ONNX Runtime cannot open this graph ({reason}); "
            "write it again with `distill export MODEL --target onnx --out FOLDER`"
        ) from None
    _check_graph(folder, session)
    return session


def _check_graph(folder: OnnxFolder, session: onnxruntime.InferenceSession) -> None:
    inputs: set[str] = {node.name for node in session.get_inputs()}
    outputs: dict[str, Any] = {node.name: node.shape for node in session.get_outputs()}
    if "input_ids" not in inputs or inputs - _INPUTS:
        raise ModelError(
            f"{folder.graph}: inputs {', '.join(sorted(inputs))}; accepted are {', '.join(sorted(_INPUTS))}"
        )
    if OUTPUT not in outputs:
        raise ModelError(f"{folder.graph}: outputs {', '.join(sorted(outputs))}; a re-ranker's is called {OUTPUT}")
    if len(outputs[OUTPUT]) != 2 or (isinstance(outputs[OUTPUT][1], int) and outputs[OUTPUT][1] != 1):
        raise ModelError(f"{folder.graph}: {OUTPUT} has shape {outputs[OUTPUT]}; a re-ranker's is [batch, 1]")
