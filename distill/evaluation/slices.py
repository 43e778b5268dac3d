"""Parts of the queries that a comparison looks at on their own: by traffic, length, terms, and first-stage success."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.collections.trec import ranking
from distill.evaluation.csv_table import read_table
from students.terms import TermReader

SliceTable = dict[str, frozenset[str]]
"""Query ids by the slice's name; a name is ``subject: part``."""

RARE_DOCUMENTS = 10
HIT_DEPTH = 10
MOST_VALUES = 20


def by_traffic(frequencies: Mapping[str, float]) -> SliceTable:
    """Head, torso and tail: the most frequent queries that together carry a third of the traffic, and so on.

    Queries of the same frequency are of the same part.

    Args:
        frequencies: how often each query was asked; only the ids that are to be sliced.
    """
    total, before = sum(frequencies.values()), 0.0
    parts: dict[str, set[str]] = {"head": set(), "torso": set(), "tail": set()}
    groups = defaultdict(list)
    for query_id, frequency in frequencies.items():
        groups[frequency].append(query_id)
    for frequency in sorted(groups, reverse=True):
        # a group is where its middle is, as its queries cannot be told apart
        middle = before + frequency * len(groups[frequency]) / 2
        name = "head" if middle < total / 3 else "torso" if middle < 2 * total / 3 else "tail"
        parts[name].update(groups[frequency])
        before += frequency * len(groups[frequency])
    return {f"traffic: {name}": frozenset(members) for name, members in parts.items()}


def by_length(queries: Mapping[str, str]) -> SliceTable:
    """By the number of words between spaces: up to 3, 4 to 6, 7 and more."""
    parts: dict[str, set[str]] = {"1 to 3 words": set(), "4 to 6 words": set(), "7 words or more": set()}
    for query_id, text in queries.items():
        words = len(text.split())
        parts["1 to 3 words" if words <= 3 else "4 to 6 words" if words <= 6 else "7 words or more"].add(query_id)
    return {f"length: {name}": frozenset(members) for name, members in parts.items()}


def by_terms(collection: Collection, qrels: Qrels, language: str = "english", rare: int = RARE_DOCUMENTS) -> SliceTable:
    """By rare terms, and by the share of a query's terms that its relevant documents hold.

    Terms are compared by their stems, stop words left out. A term is rare if at least one document and no more than
    ``rare`` hold it, or if it is a number or a model code.

    Args:
        collection: queries, and the documents whose terms are counted.
        qrels: the queries that are sliced, with their relevant documents.
        language: of stems and stop words, one of `students.terms.LANGUAGES`.
        rare: most documents that hold a rare term.

    Raises:
        StudentError: the language is not known.
        DataError: the collection lacks a judged query.
    """
    reader = TermReader(language)
    stems = {doc_id: {term.stem for term in reader.terms(collection.text(doc_id))} for doc_id in collection.documents}
    held = Counter(stem for found in stems.values() for stem in found)
    parts: dict[str, set[str]] = defaultdict(set)
    for query_id, judged in qrels.items():
        terms = {term.stem: term.form for term in reader.terms(collection.query(query_id))}
        special = any(0 < held[stem] <= rare or _has_digit(form) for stem, form in terms.items())
        parts["terms: rare, number or code" if special else "terms: common only"].add(query_id)
        relevant = [stems[doc_id] for doc_id, grade in judged.items() if grade > 0 and doc_id in stems]
        if relevant and terms:
            share = max(len(terms.keys() & found) for found in relevant) / len(terms)
            name = "all" if share == 1 else "half or more" if share >= 0.5 else "fewer than half"
            parts[f"exact terms in a relevant document: {name}"].add(query_id)
    return {name: frozenset(parts[name]) for name in sorted(parts)}


def by_first_stage(run: Run, qrels: Qrels, depth: int = HIT_DEPTH) -> SliceTable:
    """By whether the first stage has a relevant document among its first ``depth``, only below, or not at all."""
    parts: dict[str, set[str]] = {"hit": set(), "below": set(), "miss": set()}
    for query_id, judged in qrels.items():
        places = [place for place, doc_id in enumerate(ranking(run.get(query_id, {}))) if judged.get(doc_id, 0) > 0]
        parts["miss" if not places else "hit" if places[0] < depth else "below"].add(query_id)
    names = {"hit": f"in its first {depth}", "below": f"below its first {depth}", "miss": "not among its candidates"}
    return {f"first stage: relevant document {names[part]}": frozenset(members) for part, members in parts.items()}


def read_columns(path: Path, queries: Iterable[str]) -> dict[str, dict[str, str]]:
    """Columns of a CSV file (or TSV, by its suffix) that says something of each query, by column and query id.

    The first row names the columns, one of which is ``query_id``. Queries that were not asked for are left out.

    Raises:
        DataError: the file is no such table, no column is called so, a query stands twice, or none was asked for.
    """
    names, rows = read_table(path)
    if "query_id" not in names:
        raise DataError(f"{path}:1: columns {', '.join(names) or 'none'}; one of them must be query_id")
    wanted, seen = set(queries), set[str]()
    columns: dict[str, dict[str, str]] = {name: {} for name in names if name != "query_id"}
    for line, row in rows:
        query_id = row.pop("query_id")
        if query_id in seen:
            raise DataError.at(path, line, f"query {query_id!r} stands here a second time")
        seen.add(query_id)
        if query_id in wanted:
            for name, cell in row.items():
                columns[name][query_id] = cell
    if not wanted & seen:
        raise DataError(f"{path}: none of its {len(seen)} queries is judged, so it makes no slices")
    return columns


def by_column(name: str, cells: Mapping[str, str]) -> SliceTable:
    """A slice for each value of a column.

    Raises:
        DataError: it has more than `MOST_VALUES`, as numbers and free text have.
    """
    parts = defaultdict(set)
    for query_id, cell in cells.items():
        parts[cell].add(query_id)
    if len(parts) > MOST_VALUES:
        raise DataError(f"column {name!r} has {len(parts)} different values; at most {MOST_VALUES} make slices")
    return {f"{name}: {cell}": frozenset(parts[cell]) for cell in sorted(parts)}


def frequencies(path: Path, cells: Mapping[str, str]) -> dict[str, float]:
    """A column's cells as numbers.

    Raises:
        DataError: a cell is no number, or negative.
    """
    found = {}
    for query_id, cell in cells.items():
        try:
            number = float(cell)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise DataError(f"{path}: query {query_id!r} has the frequency {cell!r}; a number from 0 on is accepted")
        found[query_id] = number
    return found


def _has_digit(form: str) -> bool:
    return any(letter.isdigit() for letter in form)
