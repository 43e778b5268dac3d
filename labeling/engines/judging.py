"""One list or a few through a judge, whatever the judge does: the boundary at which a failing list becomes a row."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol, runtime_checkable

from labeling import LabelingError
from labeling.engines import JudgeSource, Work
from labeling.judge import Judge, read_judgments
from labeling.keys import teacher_hash, text_hash
from labeling.label_lists import CandidateList, Row, label_rows

logger = logging.getLogger(__name__)

Answers = Sequence[Mapping[str, Any]]


@runtime_checkable
class ManyJudge(Protocol):
    """A judge that reads several lists at once, which is faster on a large device."""

    def judge_many(self, lists: Sequence[tuple[str, Sequence[str]]]) -> Sequence[Answers]:
        """What ``judge`` says of each (query, documents), but for rounding."""
        ...


def batches(work: Iterable[Work], size: int) -> Iterator[list[Work]]:
    """The work in batches of ``size``, the last one shorter; taken as they are asked for."""
    rest = iter(work)
    while batch := list(islice(rest, size)):
        yield batch


def open_judge(source: JudgeSource, teacher: str) -> Judge:
    """The source's judge, if it is the one that the job's keys are made of.

    Args:
        source: makes the judge.
        teacher: :func:`labeling.keys.teacher_hash` of the description that the job works under.

    Raises:
        LabelingError: the judge cannot be made, or is another one here than where the job asked for its description.
    """
    try:
        judge = source.open()
        description = judge.describe()
    except Exception as error:
        logger.exception("the teacher cannot be opened")
        raise LabelingError(f"the teacher cannot be opened: {type(error).__name__}: {error}") from error
    if teacher_hash(description) != teacher:
        raise LabelingError(
            "the teacher opened by this worker is not the one that the job was started with (its files, or the number "
            f"type of its device, differ): {description}"
        )
    return judge


def judge_batch(batch: Sequence[Work], judge: Judge) -> list[list[Row]]:
    """The rows of each list, in order; a list that fails has one row with its error, and spoils no other.

    A batch of one is judged by ``judge``; a larger one by ``judge_many`` where the judge has it and it succeeds.
    """
    started = time.perf_counter()
    together = _judge_together(batch, judge)
    share = (time.perf_counter() - started) / len(batch)
    rows = []
    for place, (key, candidates) in enumerate(batch):
        started = time.perf_counter()
        try:
            answers = _judge_alone(candidates, judge) if together is None else together[place]
            judgments = read_judgments(answers, candidates.doc_ids, candidates.documents)
            judged = label_rows(candidates, judgments)
        except Exception as error:
            # The one place that catches everything: no list may stop the job. The log names no text, the store has all.
            logger.warning("query %s failed: %s", candidates.query_id, type(error).__name__)
            judged = [_failure(f"{type(error).__name__}: {error}")]
        rows.append(_complete(judged, key, candidates, share + time.perf_counter() - started))
    return rows


def lost_list(key: str, candidates: CandidateList, reason: str) -> list[Row]:
    """The row of a list that no judge has survived."""
    logger.warning("query %s failed: its worker was lost", candidates.query_id)
    return _complete([_failure(f"WorkerLost: {reason}")], key, candidates, 0.0)


def _judge_together(batch: Sequence[Work], judge: Judge) -> Sequence[Answers] | None:
    """Answers for every list of the batch, or None where they must be had one by one."""
    if len(batch) == 1 or not isinstance(judge, ManyJudge):
        return None
    if not all(candidates.documents for _, candidates in batch):
        return None
    try:
        answers = judge.judge_many([(candidates.query, candidates.documents) for _, candidates in batch])
    except Exception as error:
        logger.info("%d lists are judged one by one after %s", len(batch), type(error).__name__)
        return None
    return answers if len(answers) == len(batch) else None


def _judge_alone(candidates: CandidateList, judge: Judge) -> Answers:
    if not candidates.documents:
        raise LabelingError("the list has no documents")
    return judge.judge(candidates.query, candidates.documents)


def _complete(rows: list[Row], key: str, candidates: CandidateList, seconds: float) -> list[Row]:
    same: Row = {
        "query_id": candidates.query_id,
        "query_hash": text_hash(candidates.query),
        "list_key": key,
        "seconds": seconds,
        "created": datetime.now(UTC),
    }
    return [row | same for row in rows]


def _failure(message: str) -> Row:
    return {"status": "failed", "error": message.encode("utf-8", "replace").decode("utf-8")}
