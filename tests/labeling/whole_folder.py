"""A label folder read at once, with pyarrow alone: what the readers of the package are held against."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from labeling.parts import COLUMNS


def read_manifest(folder):
    """The manifest of a folder whose job has finished."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["complete"]
    return manifest


def read_labels(folder, columns=tuple(COLUMNS.names), status="ok"):
    """The rows of the last job's lists, in their order and that of their candidates; one row for a failed list."""
    read_manifest(folder)
    keys = pq.read_table(folder / "lists.parquet")["list_key"]
    parts = [pq.read_table(path).select(COLUMNS.names) for path in sorted(folder.glob("part-*.parquet"))]
    table = pa.concat_tables([COLUMNS.empty_table(), *parts])
    table = table.append_column("list", pc.index_in(table["list_key"], value_set=keys))
    table = table.filter(pc.and_(pc.is_valid(table["list"]), pc.equal(table["status"], status)))
    return table.sort_by([("list", "ascending"), ("position", "ascending")]).select(list(columns))
