"""The embedded collection: known-item search over the docstrings of installed packages, so that a first run needs
no data file and no network."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import Stemmer
from bm25s.stopwords import STOPWORDS_EN
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from distill.collections.collection import Collection, DataError, Document
from distill.collections.docstring_source import STANDARD_LIBRARY, find_root, read_docstrings
from distill.collections.docstring_text import KnownItem, known_item
from distill.collections.files import whole_file
from distill.collections.near_duplicates import groups, jaccard, shingles, similar_pairs

log = logging.getLogger(__name__)

# All of these come with our own dependencies; one that is absent is passed over.
TRAIN_PACKAGES = (
    "torch", "transformers", "sympy", "numpy", "scipy", "pandas", "networkx", "datasets", "peft", "accelerate",
    "pydantic", "rich", "mpmath", "joblib",
)  # fmt: skip
DEV_PACKAGES = ("huggingface_hub", "sentence_transformers", "pyarrow")
TEST_PACKAGES = (STANDARD_LIBRARY, "sklearn", "fsspec", "jinja2", "click", "requests")

# Bodies of this overlap (Jaccard of three-word shingles) are one document.
SAME_BODY = 0.8
# A sentence that says all that a query asks, and with this overlap (Jaccard of content words) hardly more, makes its
# document relevant too; under the same own name, a smaller overlap is enough.
SAME_QUESTION, SAME_QUESTION_AND_NAME = 0.7, 0.5
# A sentence that fits more objects than this looks for no known item.
MAX_RELEVANT = 5
MAX_FREQUENCY = 100_000


class DocstringSettings(BaseModel):
    """How large the embedded collection is and where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    documents: int = Field(6000, ge=100, description="most documents; relevant ones are always kept")
    document_words: PositiveInt = Field(100, description="words that a document is cut to, for every system alike")
    train: NonNegativeInt = Field(200, description="training queries")
    unjudged: NonNegativeInt = Field(0, description="queries of the training packages that come without judgments")
    dev: NonNegativeInt = Field(40, description="development queries")
    test: NonNegativeInt = Field(100, description="test queries")
    seed: int = Field(0, description="chooses queries and documents")
    max_share: float = Field(0.2, gt=0, le=1, description="largest share of the documents that one package may have")
    train_packages: tuple[str, ...] = Field(TRAIN_PACKAGES, description="packages that training queries come from")
    dev_packages: tuple[str, ...] = Field(DEV_PACKAGES, description="packages that development queries come from")
    test_packages: tuple[str, ...] = Field(TEST_PACKAGES, description="packages that test queries come from")

    @model_validator(mode="after")
    def _packages_are_in_one_split(self) -> Self:
        counts = Counter((*self.train_packages, *self.dev_packages, *self.test_packages))
        twice = sorted(package for package, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"package {twice[0]} is named twice; a package belongs to one split")
        return self

    def splits(self) -> dict[str, tuple[tuple[str, ...], int]]:
        """Packages and number of queries, by split; the unjudged ones come last in the training split."""
        return {
            "train": (self.train_packages, self.train + self.unjudged),
            "dev": (self.dev_packages, self.dev),
            "test": (self.test_packages, self.test),
        }


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    package: str
    item: KnownItem


def build_docstring_collection(settings: DocstringSettings | None = None) -> Collection:
    """Read the installed packages' source and make the collection; the same for the same versions and settings.

    A query is a docstring's first sentence, its document the rest. Documents that say nearly the same are merged, and
    queries that ask nearly the same share their relevant documents. Queries are split by package, so that those of
    one split come from packages that the others have not seen; the documents of all packages are one corpus.

    Raises:
        DataError: the installed packages hold fewer queries than ``settings`` ask for.
    """
    settings = settings or DocstringSettings()
    entries = _without_near_duplicates(_read_entries(settings))
    relevant = _relevant(entries)
    pool = _capped(entries, settings)
    chosen = {
        split: _choose_queries(split, [name for name in pool if entries[name].package in packages], count, relevant)
        for split, (packages, count) in settings.splits().items()
    }
    kept = {doc_id for names in chosen.values() for name in names for doc_id in relevant[name]}
    kept.update([name for name in pool if name not in kept][: max(0, settings.documents - len(kept))])
    documents = {name: _document(entries[name]) for name in sorted(kept)}
    queried = sorted(name for names in chosen.values() for name in names)
    judged = {**chosen, "train": chosen["train"][: settings.train]}
    return Collection(
        name="docstrings",
        documents=documents,
        queries={_query_id(name): entries[name].item.query for name in queried},
        qrels={
            split: {_query_id(name): dict.fromkeys(relevant[name], 1) for name in sorted(names)}
            for split, names in judged.items()
        },
        query_metadata={_query_id(name): _query_metadata(entries[name]) for name in queried},
    )


def write_query_log(collection: Collection, path: Path) -> None:
    """Write the queries with their (made-up) frequencies as TSV: ``query_id, query, frequency``, under that header.

    Raises:
        DataError: a query has no whole ``frequency`` in its metadata, or its text holds a tab or line end.
    """
    with whole_file(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write("query_id\tquery\tfrequency\n")
        for query_id, query in collection.queries.items():
            frequency = collection.query_metadata.get(query_id, {}).get("frequency")
            if not isinstance(frequency, int):
                raise DataError(f"query {query_id!r} has frequency {frequency!r}; a whole number is needed for a log")
            if query.splitlines() != [query] or "\t" in query:
                raise DataError(f"query {query_id!r} holds a tab or a line end; a log takes one line a query")
            file.write(f"{query_id}\t{query}\t{frequency}\n")


def _read_entries(settings: DocstringSettings) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for package in sorted(package for packages, _ in settings.splits().values() for package in packages):
        root = find_root(package)
        if root is None:
            log.info("package %s is not installed and gives no documents", package)
            continue
        for docstring in read_docstrings(package, root):
            item = known_item(docstring.name, docstring.text, settings.document_words)
            if item is not None:
                entries.setdefault(docstring.name, _Entry(docstring.name, package, item))
    return entries


def _without_near_duplicates(entries: Mapping[str, _Entry]) -> dict[str, _Entry]:
    """One entry, that of the smallest name, for each group of documents that say nearly the same."""
    pairs = similar_pairs({name: shingles(entry.item.document) for name, entry in entries.items()}, SAME_BODY)
    leader = groups(entries, pairs)
    return {name: entries[name] for name in sorted(entries) if leader[name] == name}


def _relevant(entries: Mapping[str, _Entry]) -> dict[str, list[str]]:
    """The documents relevant to each entry's query, sorted: its own, and those whose own sentence says the same.

    ``the sum along an axis`` and ``the largest value along an axis`` nearly agree and are not the same: what the query
    asks must be there in full.
    """
    asked = {name: _content_words(entry.item.query) for name, entry in entries.items()}
    relevant = {name: {name} for name in entries}
    for a, b in similar_pairs(asked, SAME_QUESTION_AND_NAME):
        if _own_name(a) != _own_name(b) and jaccard(asked[a], asked[b]) < SAME_QUESTION:
            continue
        if asked[a] <= asked[b]:
            relevant[a].add(b)
        if asked[b] <= asked[a]:
            relevant[b].add(a)
    return {name: sorted(names) for name, names in relevant.items()}


def _content_words(query: str) -> frozenset[str]:
    """Stems of the words, stop words left out."""
    words = [word for word in re.findall(r"[a-z]+|\d+", query.lower()) if word not in STOPWORDS_EN]
    return frozenset(Stemmer.Stemmer("english").stemWords(words))


def _capped(entries: Mapping[str, _Entry], settings: DocstringSettings) -> list[str]:
    """Names in the order that the seed gives them, at most ``max_share`` of ``documents`` from one package."""
    most = int(settings.max_share * settings.documents)
    taken: Counter[str] = Counter()
    names = []
    for name in sorted(entries, key=lambda name: _number(f"{settings.seed} {name}")):
        package = entries[name].package
        if taken[package] < most:
            taken[package] += 1
            names.append(name)
    return names


def _choose_queries(split: str, names: Sequence[str], count: int, relevant: Mapping[str, Sequence[str]]) -> list[str]:
    """The first ``count`` of ``names`` that ask for few objects, no two of them for the same."""
    chosen: list[str] = []
    asked_for: set[str] = set()
    for name in names:
        if len(chosen) == count:
            break
        if len(relevant[name]) <= MAX_RELEVANT and asked_for.isdisjoint(relevant[name]):
            chosen.append(name)
            asked_for.update(relevant[name])
    if len(chosen) < count:
        raise DataError(
            f"{count} {split} queries asked for, but the installed packages hold {len(chosen)}; "
            f"ask for fewer, raise documents, or name more {split}_packages"
        )
    return chosen


def _document(entry: _Entry) -> Document:
    """The title is left empty: the qualified name would give the answer away."""
    return Document(entry.name, "", entry.item.document, {"name": entry.name, "package": entry.package})


def _query_id(name: str) -> str:
    return f"q:{name}"


def _query_metadata(entry: _Entry) -> dict[str, Any]:
    return {
        "package": entry.package,
        "shares_name": entry.item.shares_name,
        "frequency": _made_up_frequency(entry.item.query),
    }


def _made_up_frequency(query: str) -> int:
    """How often a query was asked, as in a log: one in k queries is asked k times or more (Zipf), by chance."""
    return min(MAX_FREQUENCY, 2**64 // (_number(query) + 1))


def _own_name(name: str) -> str:
    return name.rpartition(".")[2]


def _number(text: str) -> int:
    """A number below 2**64 that only depends on the text: ``hash`` changes from process to process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
