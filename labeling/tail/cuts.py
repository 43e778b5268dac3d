"""The one rule for what is tail: cuts on the table of a log's queries, counted one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from labeling import LabelingError
from labeling.tail.database import add_signature
from labeling.tail.report import Cut, Example, TailReport
from labeling.tail.sample import Sample, draw_sample
from labeling.tail.settings import TailSettings

_EXAMPLES = 3

OnStep = Callable[[str], None]
"""Told the name of each step when it begins."""


@dataclass(frozen=True, slots=True)
class _Limit:
    """A cut that looks at one query alone; ``takes`` is a condition on the columns of ``queries``."""

    name: str
    value: float
    says: str
    takes: str


def cut_to_tail(
    database: DuckDBPyConnection, settings: TailSettings, with_texts: bool = False, on_step: OnStep = lambda _: None
) -> TailReport:
    """Make the view ``tail``, with the columns of the table ``queries`` and ``number``: what all cuts leave.

    Cuts that look at one query alone come first, in the order of the settings; a query counts for the first that takes
    it. Then, of near-duplicates, all but the most frequent go, and at last all but the sample.

    Args:
        database: holds ``queries``: query_id, text, key (`merge_key` of the text), frequency, clicks and impressions.
            The last two may be null where no setting asks for them.
        settings: the cuts.
        with_texts: whether the report's examples bear their texts.
        on_step: told each step.

    Raises:
        LabelingError: there is no query.
    """
    on_step("cutting the head")
    database.execute("CREATE VIEW numbered AS SELECT rowid AS number, * FROM queries")
    sizes = dict(database.execute("SELECT frequency, count(*) FROM queries GROUP BY frequency").fetchall())
    if not sizes:
        raise LabelingError("the query log is empty")
    queries, traffic = sum(sizes.values()), sum(frequency * count for frequency, count in sizes.items())
    highest = _tail_limit(sizes, settings.head_share * traffic)
    counted = _Counted(database, queries, traffic, with_texts)
    left = _cut_by_limits(database, list(_limits(settings, highest)), counted)
    if settings.near_duplicates:
        on_step("thinning near-duplicates")
        left = _cut_near_duplicates(database, left, settings.language, counted)
    drawn = None
    if settings.sample is not None:
        on_step("drawing the sample")
        drawn = draw_sample(database, left, settings.sample, settings.seed, settings.language)
        left = _cut_to_sample(database, left, drawn, settings.sample, counted)
    database.execute(f"CREATE VIEW tail AS SELECT * FROM {left}")
    return TailReport(
        queries=queries,
        traffic=traffic,
        max_frequency=min(highest, settings.max_frequency or highest),
        cuts=tuple(counted.cuts),
        sample_words=drawn.words if drawn else None,
        plain_sample_words=drawn.plain_words if drawn else None,
    )


class _Counted:
    """The cuts made so far, each with what it took and what it left."""

    def __init__(self, database: DuckDBPyConnection, queries: int, traffic: int, with_texts: bool) -> None:
        self._database, self._text = database, "text" if with_texts else "NULL"
        self._queries, self._traffic = queries, traffic
        self.cuts: list[Cut] = []

    def add(self, name: str, limit: float, says: str, queries: int, traffic: int, taken: str) -> None:
        """Count a cut; ``taken`` names the relation, with a condition if need be, that holds what it took."""
        self._queries -= queries
        self._traffic -= traffic
        found = self._database.execute(
            f"SELECT query_id, frequency, {self._text} FROM {taken} ORDER BY frequency DESC, query_id LIMIT {_EXAMPLES}"
        ).fetchall()
        examples = tuple(Example(*row) for row in found)
        self.cuts.append(Cut(name, limit, says, queries, traffic, self._queries, self._traffic, examples))


def _limits(settings: TailSettings, highest: int) -> Iterator[_Limit]:
    """The cuts by limits, in the order in which they are made; those that would take nothing by default are not."""
    share = settings.head_share
    if share > 0:
        says = f"asked more than {highest} times; such queries carry at most {100 * share:.4g} % of the traffic"
        yield _Limit("head_share", share, says, f"frequency > {highest}")
    words = "(length(key) - length(replace(key, ' ', '')) + (key <> '')::INTEGER)"
    rate = settings.max_click_rate
    for name, value, least, says, takes in (
        ("max_frequency", settings.max_frequency, 0, "asked more than {} times", "frequency > {}"),
        ("min_frequency", settings.min_frequency, 1, "asked fewer than {} times", "frequency < {}"),
        ("max_clicks", settings.max_clicks, -1, "more than {} clicks", "clicks > {}"),
        ("max_click_rate", rate, -1, "more than {} clicks an impression", "clicks > {}::DOUBLE * impressions"),
        ("min_words", settings.min_words, 0, "fewer than {} words", words + " < {}"),
        ("max_words", settings.max_words, 0, "more than {} words", words + " > {}"),
    ):
        if value is not None and value > least:
            yield _Limit(name, value, says.format(value), takes.format(value))


def _cut_by_limits(database: DuckDBPyConnection, limits: Sequence[_Limit], counted: _Counted) -> str:
    """Count what each limit takes, and return the name of a view of what they leave."""
    cases = "".join(f" WHEN {limit.takes} THEN '{limit.name}'" for limit in limits)
    first = f"CASE{cases} ELSE '' END" if cases else "''"
    database.execute(f"CREATE VIEW sorted_out AS SELECT *, {first} AS taken_by FROM numbered")
    database.execute("CREATE VIEW within_limits AS SELECT * FROM sorted_out WHERE taken_by = ''")
    rows = database.execute("SELECT taken_by, count(*), sum(frequency)::BIGINT FROM sorted_out GROUP BY taken_by")
    took = {name: (queries, traffic) for name, queries, traffic in rows.fetchall()}
    for limit in limits:
        taken = f"sorted_out WHERE taken_by = '{limit.name}'"
        counted.add(limit.name, limit.value, limit.says, *took.get(limit.name, (0, 0)), taken)
    return "within_limits"


def _cut_near_duplicates(database: DuckDBPyConnection, left: str, language: str, counted: _Counted) -> str:
    """Of the queries with one signature keep the most frequent; among equals the one with the smallest id."""
    add_signature(database, language)
    # a window over rows of fixed width, hashes for texts: it is done in files where it does not fit into memory
    database.execute(
        f"""CREATE TABLE near_duplicates AS
        WITH signed AS (SELECT number, query_id, frequency, md5_number(signature(key)) AS signature FROM {left})
        SELECT number FROM signed
        QUALIFY row_number() OVER (PARTITION BY signature ORDER BY frequency DESC, query_id) > 1"""
    )
    database.execute(f"CREATE VIEW near_duplicated AS SELECT * FROM {left} SEMI JOIN near_duplicates USING (number)")
    database.execute(f"CREATE VIEW thinned AS SELECT * FROM {left} ANTI JOIN near_duplicates USING (number)")
    says = f"the same words ({language} endings and stop words aside) as a more frequent query"
    counted.add("near_duplicates", 1, says, *_size(database, "near_duplicated"), "near_duplicated")
    return "thinned"


def _cut_to_sample(database: DuckDBPyConnection, left: str, drawn: Sample, count: int, counted: _Counted) -> str:
    database.execute("CREATE TABLE sampled AS SELECT unnest(?::BIGINT[]) AS number", [drawn.numbers])
    database.execute(f"CREATE VIEW outside_sample AS SELECT * FROM {left} ANTI JOIN sampled USING (number)")
    database.execute(f"CREATE VIEW sample AS SELECT * FROM {left} SEMI JOIN sampled USING (number)")
    counted.add("sample", count, "not drawn", *_size(database, "outside_sample"), "outside_sample")
    return "sample"


def _size(database: DuckDBPyConnection, relation: str) -> tuple[int, int]:
    """Queries and traffic."""
    found = database.execute(f"SELECT count(*), coalesce(sum(frequency), 0)::BIGINT FROM {relation}").fetchone()
    assert found is not None  # an aggregate without groups has one row
    return found[0], found[1]


def _tail_limit(queries_of: Mapping[int, int], head_traffic: float) -> int:
    """The highest frequency that is tail: all more frequent queries together carry at most ``head_traffic``."""
    carried = 0
    for frequency in sorted(queries_of, reverse=True):
        carried += frequency * queries_of[frequency]
        if carried > head_traffic:
            return frequency
    return min(queries_of)
