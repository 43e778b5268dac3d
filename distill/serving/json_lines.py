"""Requests and answers as JSON lines, in the shapes that re-ranking servers take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from distill.collections.collection import DataError
from distill.errors import first_line
from distill.serving.ranking import Ranking, probability
from labeling.texts import well_formed

ACCEPTED = '{"query": "...", "documents": ["...", {"id": "...", "text": "..."}]} is accepted, or "texts" for documents'
_USED = {"query", "documents", "texts", "top_n", "id", "query_id", "model"}
_DOCUMENT_IDS = ("id", "_id")


@dataclass(frozen=True, slots=True)
class RankRequest:
    """One line of input.

    Args:
        line: its number, from 1.
        query: its text.
        texts: of the documents, in the order given: the first stage's.
        ids: of the documents; None for one that has none.
        query_id: what the answer is told apart by; None where the line has none.
        top_n: documents that are answered; None for all.
        unused: keys that have no effect here.
    """

    line: int
    query: str
    texts: tuple[str, ...]
    ids: tuple[str | int | None, ...]
    query_id: str | int | None
    top_n: int | None
    unused: tuple[str, ...]

    def tie_breakers(self) -> list[str] | None:
        """The ids as text, where every document has one."""
        return None if None in self.ids else [str(doc_id) for doc_id in self.ids]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no request."""

    line: int
    reason: str


def read_requests(lines: Iterable[bytes]) -> Iterator[RankRequest | BadLine]:
    """Yield what each line holds, as soon as it is there; blank lines are passed over, but counted."""
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            yield _request(number, json.loads(raw.decode("utf-8")))
        except UnicodeDecodeError as error:
            yield BadLine(number, f"not UTF-8 ({error.reason})")
        except DataError as error:
            yield BadLine(number, str(error))
        except json.JSONDecodeError as error:
            yield BadLine(number, f"not JSON ({error.msg}); {ACCEPTED}")
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
            yield BadLine(number, f"not JSON that can be read ({first_line(error)})")


def answer(request: RankRequest, ranking: Ranking, top_n: int | None, as_probability: bool = False) -> dict[str, Any]:
    """What is written for a request, as JSON holds it.

    Args:
        request: the line.
        ranking: of its documents.
        top_n: most results, where the line itself does not say.
        as_probability: show scores between 0 and 1; the order stays that of the raw ones.
    """
    results: list[dict[str, Any]] = []
    for place in ranking.order[: request.top_n or top_n]:
        score = ranking.score(place)
        shown = probability(score) if as_probability and score is not None else score
        results.append({"index": place, "relevance_score": shown})
        if request.ids[place] is not None:
            results[-1]["id"] = request.ids[place]
    told = {} if request.query_id is None else {"id": request.query_id}
    facts = {"documents": len(request.texts), "reached": len(ranking.scores), "deadline": ranking.deadline}
    if ranking.cut_documents:
        facts |= {"cut_documents": ranking.cut_documents, "cut_characters": ranking.cut_characters}
    return {**told, "results": results, **facts}


def as_line(content: dict[str, Any]) -> str:
    """JSON in one line of ASCII: ids may hold what a terminal obeys, or UTF-8 cannot hold."""
    return json.dumps(content, allow_nan=False) + "\n"


def _request(number: int, row: Any) -> RankRequest:
    if not isinstance(row, dict):
        raise DataError(f"a JSON {type(row).__name__}; {ACCEPTED}")
    if not isinstance(row.get("query"), str):
        raise DataError(f"query is {_shown(row.get('query'))}; a string is accepted")
    given = [key for key in ("documents", "texts") if key in row]
    if len(given) != 1 or not isinstance(row[given[0]], list):
        raise DataError(
            f"no list of documents; {ACCEPTED}" if len(given) < 2 else "both documents and texts; one of them"
        )
    documents = [_document(given[0], place, item) for place, item in enumerate(row[given[0]])]
    top_n = row.get("top_n")
    if top_n is not None and (not isinstance(top_n, int) or isinstance(top_n, bool) or top_n < 1):
        raise DataError(f"top_n is {_shown(top_n)}; a whole number from 1 is accepted")
    return RankRequest(
        line=number,
        query=well_formed(row["query"]),
        texts=tuple(text for text, _ in documents),
        ids=tuple(doc_id for _, doc_id in documents),
        query_id=_id(row, ("id", "query_id"), "id"),
        top_n=top_n,
        unused=tuple(sorted(row.keys() - _USED)),
    )


def _document(key: str, place: int, item: Any) -> tuple[str, str | int | None]:
    """A document's text and id; its title stands before the text, as in a collection."""
    where = f"{key}[{place}]"
    if isinstance(item, str):
        return well_formed(item), None
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        raise DataError(f"{where} is {_shown(item)}; a string is accepted, or an object with a text")
    title = item.get("title") or ""
    if not isinstance(title, str):
        raise DataError(f"{where}.title is {_shown(title)}; a string is accepted")
    text = f"{title} {item['text']}" if title else item["text"]
    return well_formed(text), _id(item, _DOCUMENT_IDS, f"{where}.id")


def _id(row: dict[str, Any], keys: tuple[str, ...], where: str) -> str | int | None:
    value = next((row[key] for key in keys if row.get(key) is not None), None)
    if value is not None and (not isinstance(value, str | int) or isinstance(value, bool)):
        raise DataError(f"{where} is {_shown(value)}; a string or a whole number is accepted")
    return value


def _shown(value: Any) -> str:
    """A value in an error, cut so that the line stays one that can be read."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
