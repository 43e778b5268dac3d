"""Answers requests one line at a time, as they come: what was answered stands, whatever the next line holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from distill.collections.collection import DataError
from distill.serving.json_lines import BadLine, answer, as_line, read_requests
from distill.serving.pace import Pace, Ranker
from distill.serving.ranking import Limits, Totals, rank_documents


@dataclass(frozen=True, slots=True)
class Answers:
    """How requests are answered.

    Args:
        limits: what a query may cost.
        top_n: most results of an answer, where its line does not say; None for all.
        as_probability: show scores between 0 and 1.
        skip_bad: answer a line that is no request with an error, and go on.
    """

    limits: Limits
    top_n: int | None = None
    as_probability: bool = False
    skip_bad: bool = False


def answer_lines(
    ranker: Ranker,
    lines: Iterable[bytes],
    write: Callable[[str], None],
    answers: Answers,
    source: str,
    tell: Callable[[str], None],
) -> Totals:
    """Write one line for each request, in the order of the requests.

    Args:
        ranker: scores.
        lines: JSON lines, see `read_requests`.
        write: takes each line as it is to be seen by its reader at once.
        answers: see `Answers`.
        source: names the lines in an error.
        tell: takes what a person should know, such as keys that have no effect.

    Raises:
        DataError: a line is no request, and bad lines are not skipped.
    """
    totals, told = Totals(), set[str]()
    pace = None if answers.limits.seconds is None else Pace.measured(ranker)
    for request in read_requests(lines):
        if isinstance(request, BadLine):
            if not answers.skip_bad:
                raise DataError(f"{source}:{request.line}: {request.reason}")
            totals.bad += 1
            write(as_line({"error": request.reason, "line": request.line}))
            continue
        unused = [key for key in request.unused if key not in told]
        if unused:
            told.update(unused)
            tell(f"{source}:{request.line}: without effect here: {', '.join(unused)}")
        ids = request.tie_breakers()
        ranking = rank_documents(ranker, request.query, request.texts, answers.limits, ids, pace)
        totals.add(ranking)
        write(as_line(answer(request, ranking, answers.top_n, answers.as_probability)))
    return totals
