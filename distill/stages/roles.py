"""Which query does what: a teacher must not label what it was fitted on, and nothing is measured on what taught."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distill.collections.collection import Collection, DataError
from distill.collections.files import numbered_lines
from distill.recipe.sources import HeldOut, QueryRoles
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


def plan_queries(
    collection: Collection,
    roles: QueryRoles,
    taught_by: Iterable[str] | None = None,
    held_out: HeldOut | None = None,
) -> QueryPlan:
    """Give each query its role; the draws depend on the ids and the seed, not on the order of any file.

    Args:
        collection: the queries, and judgments of them by split.
        roles: which query does what.
        taught_by: queries that may fit the teacher in place of the judged ones of the fitting split: those that a
            stronger ranker ranked, or none. They need no judgments.
        held_out: takes the dev and test queries from those without judgments, in place of two splits.

    Raises:
        DataError: a split is missing, one query is in two of the splits, or a role that is needed has no query.
    """
    test, dev, reserved = ([], [], set()) if held_out is not None else _judged_roles(collection, roles)
    known = collection.split(roles.fit_split) if taught_by is None else collection.qrels.get(roles.fit_split, {})
    judged = [query_id for query_id in _draw(known, roles.seed) if query_id not in reserved]
    fit, given = judged, True
    if taught_by is not None:
        fit = [query_id for query_id in _draw(taught_by, roles.seed) if query_id not in reserved]
        given = bool(fit)
    count = round(len(fit) * roles.fit_share)
    fit = fit[: count if roles.fit_limit is None else min(count, roles.fit_limit)]
    tail, taught = _tail(collection, roles), set(fit)
    rest, unjudged = (
        [query_id for query_id in free if query_id in tail and query_id not in taught]
        for free in (judged, _unjudged(collection, roles))
    )
    if held_out is not None:
        both = held_out.test + held_out.dev
        test, dev, unjudged = unjudged[: held_out.test], unjudged[held_out.test : both], unjudged[both:]
    label = {"judged": rest, "unjudged": unjudged, "both": [*rest, *unjudged]}[roles.label_from][: roles.label_limit]
    _refuse_empty(collection, {**({"fit": fit} if given else {}), "label": label, "test": test})
    return QueryPlan(fit, label, dev, test)


def free_queries(collection: Collection, roles: QueryRoles, plan: QueryPlan) -> list[str]:
    """Queries that neither choose checkpoints nor measure, whatever else they do; in the order roles are drawn in."""
    kept = {*plan.dev, *plan.test, *collection.qrels.get(roles.test_split, {})}
    return _draw((query_id for query_id in collection.queries if query_id not in kept), roles.seed)


def measuring(collection: Collection) -> set[str]:
    """Queries judged in the splits that choose checkpoints and measure where a recipe does not say otherwise."""
    splits = (QueryRoles.model_fields[name].default for name in ("dev_split", "test_split"))
    return {query_id for split in splits for query_id in collection.qrels.get(split, {})}


def plan_comparison(collection: Collection, roles: QueryRoles) -> QueryPlan:
    """The test queries alone: where systems are only compared, nothing is taught.

    Raises:
        DataError: the split is missing or empty.
    """
    test = _draw(collection.split(roles.test_split), roles.seed, roles.test_limit)
    _refuse_empty(collection, {"test": test})
    return QueryPlan([], [], [], test)


def read_ids(path: Path, collection: Collection) -> list[str]:
    """Query ids of a file, one a line.

    Raises:
        DataError: the file cannot be read, or an id is not in the collection.
    """
    ids = []
    for number, line in numbered_lines(path):
        if line.strip() not in collection.queries:
            expected = f"expected a query id of the collection {collection.name}, one a line"
            raise DataError.at(path, number, f"{expected}; got {line.strip()[:80]!r}")
        ids.append(line.strip())
    return ids


def _judged_roles(collection: Collection, roles: QueryRoles) -> tuple[list[str], list[str], set[str]]:
    """Test and dev queries out of their splits, and all queries that no other role may have because of them."""
    tested = collection.split(roles.test_split)
    choosing = collection.split(roles.dev_split) if roles.dev_split else {}
    if both := tested.keys() & choosing.keys():
        raise DataError(
            f"collection {collection.name}: {len(both)} queries are judged in {roles.dev_split!r} and in "
            f"{roles.test_split!r}, such as {min(both)!r}; what chooses checkpoints cannot measure: take them out of "
            "one, or give queries.dev_split: null"
        )
    dev = _draw(choosing, roles.seed, roles.dev_limit)
    return _draw(tested, roles.seed, roles.test_limit), dev, {*tested, *dev}


def _unjudged(collection: Collection, roles: QueryRoles) -> list[str]:
    judged = {query_id for split in collection.qrels.values() for query_id in split}
    return _draw((query_id for query_id in collection.queries if query_id not in judged), roles.seed)


def _tail(collection: Collection, roles: QueryRoles) -> Container[str]:
    """The queries that may be labelled: those of the tail, or all where no tail is asked for."""
    if roles.tail is None:
        return collection.queries
    return set(choose_tail_queries(_log(collection), roles.tail).query_ids)


def _refuse_empty(collection: Collection, needed: Mapping[str, list[str]]) -> None:
    for role, queries in needed.items():
        if not queries:
            raise DataError(f"collection {collection.name}: no query is left to {role}; change the recipe's `queries`")


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


def _draw(query_ids: Iterable[str], seed: int, limit: int | None = None) -> list[str]:
    """The ids in an order that a hash shuffles, cut to ``limit``."""
    return sorted(query_ids, key=lambda query_id: hashlib.sha256(f"{seed}:{query_id}".encode()).digest())[:limit]
