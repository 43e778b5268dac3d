"""Pairs that an export is checked with: the user's own, or a few in several languages for trying any model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.collections.files import numbered_lines

Pair = tuple[str, str]
_Thing = TypeVar("_Thing")

BUILT_IN: tuple[Pair, ...] = (
    ("how to descale a kettle",
     "Fill the kettle with equal parts of water and white vinegar, boil it, let it stand for an hour and rinse it "
     "twice."),
    ("how to descale a kettle",
     "The kettle was first made of copper; whistling models were sold from the 1920s on."),
    ("python remove duplicates keep order",
     "dict.fromkeys(items) keeps the first of each and remembers their order, so list(dict.fromkeys(items)) has "
     "no duplicates."),
    ("python remove duplicates keep order",
     "Pythons swallow their prey whole; order Squamata, family Pythonidae."),
    ("error 0x80070005 access denied",
     "0x80070005 means that the account may not write there. Run the installer as an administrator, or give the "
     "folder's users write permission."),
    ("visa needed for norway from india",
     "Citizens of India need a Schengen visa to enter Norway; apply at the earliest six months before the journey."),
    ("m3 socket head screw torque",
     "For an M3 screw of class 8.8 about 1.2 Nm; with threads in plastic far less."),
    ("best time to prune apple trees",
     "Cranberries grow in acid bogs and are harvested by flooding the field."),
    ("겨울철 수도관 동파 예방 방법",
     "영하의 날씨에는 수도꼭지를 조금 열어 물을 흐르게 하고, 계량기함을 헌 옷으로 채워 주세요."),
    ("겨울철 수도관 동파 예방 방법",
     "서울의 지하철은 1974년에 처음 개통되었으며 지금은 아홉 개 이상의 노선이 있다."),
    ("Kündigungsfrist Mietwohnung Mieter",
     "Mieter können mit einer Frist von drei Monaten kündigen, gleich wie lange sie schon in der Wohnung leben."),
    ("Kündigungsfrist Mietwohnung Mieter",
     "Zürich liegt am unteren Ende des Zürichsees, beiderseits der Limmat."),
    ("comment enlever une tache de vin rouge",
     "Tamponnez la tache sans frotter, couvrez-la de sel fin, puis lavez le tissu à l'eau froide."),
    ("requisitos para renovar el pasaporte",
     "Lleve el pasaporte anterior, una fotografía reciente y el justificante del pago de la tasa; la cita se pide "
     "por internet."),
    ("requisitos para renovar el pasaporte",
     "El flamenco nació en Andalucía y une el cante, el toque y el baile."),
    ("新幹線 荷物 サイズ 制限",
     "三辺の合計が160cmを超える荷物は、特大荷物スペースつき座席の予約が必要です。"),
    ("如何给室内植物浇水",
     "先用手指摸土,表面两厘米干了再浇;冬天浇水要少,盆底不要积水。"),
    ("طريقة تنظيف شاشة الحاسوب",
     "أطفئ الشاشة أولاً ثم امسحها بقطعة قماش ناعمة مبللة قليلاً بالماء، دون ضغط."),
    ("c",
     "C is a language of the year 1972 <script>if (a && b) {}</script> with {braces}, 100% \"quotes\" and\ttabs."),
    ("long documents",
     "A document of many words is cut to what the model reads, on every server alike. " * 40),
)  # fmt: skip
"""Twenty pairs of our own writing: six languages besides English, four scripts, a long and a very short text."""


@dataclass(frozen=True)
class RealLists:
    """Whole lists of a user's, to see what a quantised model does to rankings.

    Args:
        queries: texts by query id.
        documents: texts by query and document id.
        qrels: judgments of these queries; empty where there are none.
    """

    queries: Mapping[str, str]
    documents: Mapping[str, Mapping[str, str]]
    qrels: Qrels = field(default_factory=dict)

    def texts(self) -> list[tuple[str, list[str]]]:
        """(query, documents) of each list."""
        return [(self.queries[query_id], list(texts.values())) for query_id, texts in self.documents.items()]

    def scored(self, scores: Sequence[Sequence[float]]) -> Run:
        """The lists with scores in the order of `texts`."""
        return {
            query_id: dict(zip(texts, values, strict=True))
            for (query_id, texts), values in zip(self.documents.items(), scores, strict=True)
        }

    def spread(self, most: int) -> RealLists:
        """At most so many lists, evenly spaced: first those with a relevant document, as only these have an nDCG.

        Each half keeps the order of the lists.
        """
        answerable = [query_id for query_id in self.documents if self._has_relevant(query_id)]
        rest = [query_id for query_id in self.documents if not self._has_relevant(query_id)]
        chosen = _evenly(answerable, most)
        chosen += _evenly(rest, most - len(chosen))
        return RealLists(
            {query_id: self.queries[query_id] for query_id in chosen},
            {query_id: self.documents[query_id] for query_id in chosen},
            {query_id: self.qrels[query_id] for query_id in chosen if query_id in self.qrels},
        )

    def _has_relevant(self, query_id: str) -> bool:
        judged = self.qrels.get(query_id, {})
        return any(judged.get(doc_id, 0) > 0 for doc_id in self.documents[query_id])


def lists_of(collection: Collection, run: Run) -> RealLists:
    """The run's lists with the collection's texts, and the judgments of all its splits."""
    qrels: Qrels = {}
    for split in collection.qrels.values():
        for query_id, judged in split.items():
            if query_id in run:
                qrels.setdefault(query_id, {}).update(judged)
    documents = {
        query_id: {doc_id: _writable(collection.text(doc_id)) for doc_id in scores} for query_id, scores in run.items()
    }
    return RealLists({query_id: _writable(collection.query(query_id)) for query_id in run}, documents, qrels)


def read_pairs(path: Path) -> RealLists:
    """Read JSON lines with ``query`` and ``document``; lines of the same query are one list.

    Raises:
        DataError: no such file, a line that is not such a pair, or no line at all.
    """
    documents: dict[str, dict[str, str]] = {}
    for number, line in numbered_lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deep, or too long a number"
            raise DataError.at(path, number, f"not JSON: {reason}") from None
        texts = [row.get(key) if isinstance(row, dict) else None for key in ("query", "document")]
        if not all(isinstance(text, str) for text in texts):
            raise DataError.at(path, number, 'a pair is {"query": TEXT, "document": TEXT}')
        query, document = (_writable(str(text)) for text in texts)
        documents.setdefault(query, {})[str(number)] = document
    if not documents:
        raise DataError(f"{path}: no pairs here; a line is " + '{"query": TEXT, "document": TEXT}')
    return RealLists({query: query for query in documents}, documents)


def spread_pairs(lists: Sequence[tuple[str, Sequence[str]]], count: int) -> list[Pair]:
    """At most ``count`` pairs, spread over the (query, documents) lists: they differ in more than the document."""
    return _evenly([(query, document) for query, documents in lists for document in documents], count)


def _evenly(things: Sequence[_Thing], most: int) -> list[_Thing]:
    """At most so many, the first among them."""
    count = max(0, min(most, len(things)))
    return [things[number * len(things) // count] for number in range(count)]


def _writable(text: str) -> str:
    """The text with halves of characters, which no tokenizer or file takes, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
