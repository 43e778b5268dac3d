"""The decoder student's joint objective: ranking, relevance label and reason are learned in one forward pass.

The text is the prompt, then the label word, then the reason. The ranking head reads the state of the prompt's last
token, which predicts the label; what stands behind it cannot be seen from there, so a student that reads the prompt
alone gives the scores that were trained.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import extract_model_from_parallel
from sentence_transformers import CrossEncoder
from torch import Tensor, nn

from students.batching import suitable_budget, token_batches
from students.dataset import ListBatch, list_batch
from students.long_pairs import shortened_for
from students.losses import ListLoss, mean_over_lists
from students.objectives import ListObjective, list_factors
from students.relevance_words import RelevanceWords


@dataclass(frozen=True)
class JointTerms:
    """What is learned beside the ranking.

    Attributes:
        label_weight: factor of the label token's cross-entropy; the methods call it a.
        reason_weight: factor of the reason tokens' cross-entropy; the methods call it b.
        positives: documents of group `ranked` that are relevant: those with fewer than so many above them.
        max_reason_tokens: length to which a reason is cut.
    """

    label_weight: float
    reason_weight: float
    positives: int
    max_reason_tokens: int


@dataclass(frozen=True)
class Example:
    """One pair in tokens, and what is asked of the tokens behind its prompt.

    Attributes:
        prompt: as the student is served with it.
        label: first token of the label word, to be predicted behind the prompt; None where the label is not asked.
        answer: the label word and the reason, which follow the prompt; empty where there is no reason.
        reason_start: place of the reason's first token in the answer.
    """

    prompt: list[int]
    label: int | None
    answer: list[int]
    reason_start: int

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)

    @property
    def reason(self) -> list[int]:
        """The reason's tokens."""
        return self.answer[self.reason_start :]


class JointObjective(ListObjective):
    """A list loss on the scores, the relevance label and the reason, in the form that `CrossEncoderTrainer` calls.

    Documents are relevant or not where `relevance` says so; the others are asked for neither label nor reason. The
    vocabulary's logits are computed at the asked positions alone.

    Args:
        model: the cross-encoder to train: a causal decoder with a linear head called `score`, of one output, that
            reads documents whole.
        loss: of one list's scores, see `students.losses.LOSSES`.
        vocabulary: maps states (tokens, hidden) to logits (tokens, vocab); see `students.vocabulary_head`. It belongs
            to this objective: what is saved as a student never holds it.
        words: the two labels as tokens.
        terms: weights and limits.
        pass_tokens: see `ListObjective`.

    Source: RRADistill (arXiv 2410.18097) trains a decoder on ranking, label and reason; the text, the positions and
    the choice of relevant documents are our own definition.
    """

    def __init__(
        self,
        model: CrossEncoder,
        loss: ListLoss,
        vocabulary: nn.Module,
        words: RelevanceWords,
        terms: JointTerms,
        pass_tokens: int | None = None,
    ) -> None:
        super().__init__(model, loss, pass_tokens)
        self.vocabulary = vocabulary
        self.words = words
        self.asked = terms

    def forward(
        self, inputs: list[list[Any]], labels: list[Tensor], prompt: str | None = None, task: str | None = None
    ) -> dict[str, Tensor]:
        """The terms of a batch, by name; the trainer logs each and optimises their sum.

        Args:
            inputs: a `ListBatch`'s columns.
            labels: one tensor (documents,) per query.
            prompt: none; the pair template is all the text that there is around a pair.
            task: not used.

        Raises:
            ValueError: a prompt is set: what is saved would score without it.
        """
        if prompt:
            raise ValueError(f"a student's pairs are its texts alone and take no prompt, got {prompt!r}")
        batch = list_batch(inputs)
        examples = self.examples(batch, labels)
        scores, label_losses, reason_losses = self._in_passes(examples)
        factors, sizes = list_factors(batch), [len(documents) for documents in batch.documents]
        terms = {"ranking": mean_over_lists(self.loss, scores, labels, factors)}
        if self.asked.label_weight:
            counts = [int(example.label is not None) for example in examples]
            terms["label"] = self.asked.label_weight * mean_of_lists(label_losses, counts, sizes, factors)
        if self.asked.reason_weight:
            counts = [len(example.reason) for example in examples]
            terms["reason"] = self.asked.reason_weight * mean_of_lists(reason_losses, counts, sizes, factors)
        return terms

    def examples(self, batch: ListBatch, labels: Sequence[Tensor]) -> list[Example]:
        """Every pair of the batch in tokens, in the order of the lists and their documents."""
        tokenizer = extract_model_from_parallel(self.model).tokenizer
        queries = [query for query, row in zip(batch.queries, batch.documents, strict=True) for _ in row]
        documents = [document for row in batch.documents for document in row]
        queries, kept = shortened_for(tokenizer, queries, documents)
        prompts = tokenizer(queries, kept, truncation=True)
        relevant = [
            answer
            for grades, groups in zip(labels, batch.groups, strict=True)
            for answer in relevance(grades.tolist(), groups, self.asked.positives)
        ]
        evidence = [
            text.strip() for texts, row in zip(batch.evidence, labels, strict=True) for text in texts or [""] * len(row)
        ]
        reasons = [
            self._reason(tokenizer, text)
            if answer and _is_read(prompts, pair, documents[pair], kept[pair], text)
            else []
            for pair, (answer, text) in enumerate(zip(relevant, evidence, strict=True))
        ]
        return [self._example(*asked) for asked in zip(prompts["input_ids"], relevant, reasons, strict=True)]

    def _reason(self, tokenizer: Any, evidence: str) -> list[int]:
        if not (evidence and self.asked.reason_weight):
            return []
        limit = self.asked.max_reason_tokens
        ids: list[int] = tokenizer.encode(f" {evidence}", add_special_tokens=False, truncation=True, max_length=limit)
        return ids

    def _example(self, prompt: list[int], relevant: bool | None, reason: list[int]) -> Example:
        word = self.words.yes if relevant else self.words.no
        label = word[0] if relevant is not None and self.asked.label_weight else None
        return Example(prompt, label, [*word, *reason] if reason else [], len(word))

    def _in_passes(self, examples: list[Example]) -> Tensor:
        """Score, label loss and reason loss of each example, (3, pairs); those of like length share a pass."""
        device = next(self.model.parameters()).device
        budget = self.pass_tokens or suitable_budget(device)
        parts = list(token_batches([len(example) for example in examples], budget))
        rows = torch.cat([self._pass([examples[i] for i in part]) for part in parts], dim=1)
        return rows[:, torch.tensor([i for part in parts for i in part], device=device).argsort()]

    def _pass(self, examples: list[Example]) -> Tensor:
        classifier = extract_model_from_parallel(self.model).transformers_model
        features, ends = padded(examples, classifier.config.pad_token_id, classifier.device)
        with _head_called(classifier.score) as calls:
            self.model(features)
        (states, scores) = calls[0]
        chosen = scores[torch.arange(len(examples)), ends, 0].float()
        # the head's number type is that of the forward pass; the states' is not, as a norm's weight is fp32
        with torch.autocast(states.device.type, scores.dtype, enabled=scores.dtype != states.dtype):
            losses = self._token_losses(states, ends, examples)
        return torch.cat([chosen[None], losses])

    def _token_losses(self, states: Tensor, ends: Tensor, examples: Sequence[Example]) -> Tensor:
        """Summed cross-entropy of each example's label and of its reason, (2, pairs); zero where nothing is asked."""
        asked = [(0, row, 0, example.label) for row, example in enumerate(examples) if example.label is not None]
        asked += [
            (1, row, example.reason_start + place, token)
            for row, example in enumerate(examples)
            for place, token in enumerate(example.reason)
        ]
        losses = torch.zeros(2, len(examples), device=states.device)
        if not asked:
            return losses
        # the token at place k behind the prompt is predicted k positions behind the prompt's last
        term, row, place, token = torch.tensor(asked, device=states.device).T
        logits = self.vocabulary(states[row, ends[row] + place])
        return losses.index_put((term, row), F.cross_entropy(logits.float(), token, reduction="none"), accumulate=True)


def _is_read(prompts: Any, pair: int, document: str, kept: str, evidence: str) -> bool:
    """Whether the prompt holds the evidence to its end; evidence in other words than the document's always counts.

    A reason that was cut off with its document could only be learned by heart. What is kept of the document is what the
    prompt was made of.
    """
    if not evidence or evidence not in document:
        return True
    start = kept.find(evidence)
    return start >= 0 and prompts.char_to_token(pair, start + len(evidence) - 1, 1) is not None


def relevance(labels: Sequence[float], groups: Sequence[str] | None, positives: int) -> list[bool | None]:
    """Whether each document of a list is relevant; None where the teacher leaves it open.

    Relevant are the `ranked` documents with fewer than `positives` of them above, ties included, so that the order in
    which documents are given decides nothing. `missing` and `random` ones are not relevant; without groups all is open.
    """
    if groups is None:
        return [None] * len(labels)
    ranked = [label for label, group in zip(labels, groups, strict=True) if group == "ranked"]
    return [
        False if group != "ranked" else (True if sum(other > label for other in ranked) < positives else None)
        for label, group in zip(labels, groups, strict=True)
    ]


def mean_of_lists(sums: Tensor, counts: Sequence[int], sizes: Sequence[int], factors: Sequence[float]) -> Tensor:
    """Mean over lists of each list's mean times its factor, of values that are summed per pair.

    As in the ranking loss, a long list weighs no more than a short one. Lists without a value do not count.

    Args:
        sums: (pairs,), list after list.
        counts: how many values each sum holds.
        sizes: pairs of each list.
        factors: one per list.
    """
    per_list = torch.stack([part.sum() for part in sums.split(list(sizes))])
    counted = torch.stack([part.sum() for part in torch.tensor(counts, device=sums.device).split(list(sizes))])
    means = per_list / counted.clamp(min=1) * sums.new_tensor(factors)
    return means.sum() / (counted > 0).sum().clamp(min=1)


def padded(examples: Sequence[Example], pad_id: int, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
    """The examples as a batch, padded on the right, and the position of each prompt's last token, (pairs,).

    Positions come from lengths: a padding id may be the end token, which a reason may hold.
    """
    width = max(len(example) for example in examples)
    ids = [example.prompt + example.answer + [pad_id] * (width - len(example)) for example in examples]
    mask = [[1] * len(example) + [0] * (width - len(example)) for example in examples]
    ends = torch.tensor([len(example.prompt) - 1 for example in examples], device=device)
    features = {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}
    return features, ends


@contextmanager
def _head_called(head: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """What the head is called with and returns: states (pairs, tokens, hidden) and scores (pairs, tokens, 1).

    A hook, because the model hands out one score per pair, read at the last token that is no padding.
    """
    calls: list[tuple[Tensor, Tensor]] = []
    hook = head.register_forward_hook(lambda module, args, output: calls.append((args[0], output)))
    try:
        yield calls
    finally:
        hook.remove()
