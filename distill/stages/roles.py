"""Which query does what: a teacher must not label what it was fitted on, and nothing is measured on what taught."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from distill.collections.collection import Collection, DataError
from distill.collections.files import numbered_lines
from distill.recipe import QueryRoles
from labeling.tail.queries import LoggedQuery, choose_tail_queries


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """Query ids by role; no id has two roles."""

    fit: list[str]
    label: list[str]
    dev: list[str]
    test: list[str]

    def all(self) -> list[str]:
        """Every query of the plan."""
        return [*self.fit, *self.label, *self.dev, *self.test]

    def write(self, path: Path) -> None:
        """Write the plan as JSON."""
        path.write_text(json.dumps(asdict(self), indent=0) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> QueryPlan:
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def plan_queries(collection: Collection, roles: QueryRoles) -> QueryPlan:
    """Give each query its role; the draws depend on the ids and the seed, not on the order of any file.

    Raises:
        DataError: a split is missing, one query is in two of the splits, or a role that is needed has no query.
    """
    test = _draw(collection.split(roles.test_split), roles.seed, roles.test_limit)
    dev = _draw(collection.split(roles.dev_split), roles.seed, roles.dev_limit) if roles.dev_split else []
    judged = _draw(collection.split(roles.fit_split), roles.seed, None)
    reserved = set(collection.split(roles.test_split)) | set(dev)
    judged = [query_id for query_id in judged if query_id not in reserved]
    count = round(len(judged) * roles.fit_share)
    fit = judged[: count if roles.fit_limit is None else min(count, roles.fit_limit)]
    label = _to_label(collection, roles, judged[len(fit) :])
    for role, queries in (("fit", fit), ("label", label), ("test", test)):
        if not queries:
            raise DataError(f"collection {collection.name}: no query is left to {role}; change the recipe's `queries`")
    return QueryPlan(fit, label, dev, test)


def read_ids(path: Path, collection: Collection) -> list[str]:
    """Query ids of a file, one a line.

    Raises:
        DataError: the file cannot be read, or an id is not in the collection.
    """
    ids = []
    for number, line in numbered_lines(path):
        if line.strip() not in collection.queries:
            raise DataError.at(path, number, f"collection {collection.name} has no query {line.strip()!r}")
        ids.append(line.strip())
    return ids


def _to_label(collection: Collection, roles: QueryRoles, rest: list[str]) -> list[str]:
    judged = {query_id for split in collection.qrels.values() for query_id in split}
    unjudged = _draw((query_id for query_id in collection.queries if query_id not in judged), roles.seed, None)
    chosen = {"judged": rest, "unjudged": unjudged, "both": [*rest, *unjudged]}[roles.label_from]
    if roles.tail is not None:
        tail = set(choose_tail_queries(_log(collection), roles.tail).query_ids)
        chosen = [query_id for query_id in chosen if query_id in tail]
    return chosen[: roles.label_limit]


def _log(collection: Collection) -> Iterable[LoggedQuery]:
    for query_id, text in collection.queries.items():
        metadata = collection.query_metadata.get(query_id, {})
        frequency = metadata.get("frequency")
        if not isinstance(frequency, int):
            raise DataError(
                f"query {query_id!r} has frequency {frequency!r}; `queries.tail` needs a whole number `frequency` in "
                "the metadata of every query"
            )
        yield LoggedQuery(query_id, text, frequency, metadata.get("clicks"), metadata.get("impressions"))


def _draw(query_ids: Iterable[str], seed: int, limit: int | None) -> list[str]:
    """The ids in an order that a hash shuffles, cut to ``limit``."""
    return sorted(query_ids, key=lambda query_id: hashlib.sha256(f"{seed}:{query_id}".encode()).digest())[:limit]
