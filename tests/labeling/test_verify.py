import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labeling import LabelingError
from labeling.formats import label_lists
from labeling.job import JobSettings, run_label_job
from labeling.keys import text_hash
from labeling.lock import exclusive
from labeling.merge import merge_labels
from labeling.parts import part_paths, write_table
from labeling.reading import LabelReader
from labeling.verify import repair_labels, verify_labels
from tests.labeling.whole_folder import read_labels

UNFINISHED = "marked unfinished: run the label job again, it makes what is absent and no more"
WITHOUT_TIMES = ["query_id", "doc_id", "score", "rank", "group", "list_key"]


@pytest.fixture
def folder(tmp_path, lists, make_judge):
    """Two parts of two lists of four documents each: a and b, c and d."""
    run_label_job(lists, make_judge(), tmp_path / "labels", JobSettings(part_lists=2))
    return tmp_path / "labels"


def rewritten(path, change):
    """Writes a part anew as another program would: with checksums that are right."""
    write_table(change(pq.read_table(path)), path)


def set_value(table, column, row, value):
    values = table[column].to_pylist()
    values[row] = value
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


def truncate(first, second):
    second.write_bytes(second.read_bytes()[:-100])


def flip_a_byte(first, second):
    metadata = pq.read_metadata(second).row_group(0).column(3)
    content = bytearray(second.read_bytes())
    content[metadata.data_page_offset + metadata.total_compressed_size - 3] ^= 0x10
    second.write_bytes(content)


def delete(first, second):
    second.unlink()


def duplicate(first, second):
    shutil.copy(first, first.with_name("part-00000 (1).parquet"))


def edit_a_rank(first, second):
    rewritten(second, lambda table: set_value(table, "rank", 1, 3))


def edit_a_score(first, second):
    rewritten(second, lambda table: set_value(table, "score", 1, 9.0))


def edit_a_group(first, second):
    rewritten(second, lambda table: set_value(table, "group", 0, "missing"))


def edit_the_evidence(first, second):
    rewritten(second, lambda table: set_value(table, "evidence_start", 2, 3))


def lose_a_score(first, second):
    rewritten(second, lambda table: set_value(table, "score", 4, float("nan")))


def edit_an_id(first, second):
    rewritten(second, lambda table: set_value(table, "doc_id", 0, "d99"))


def drop_a_row(first, second):
    rewritten(second, lambda table: table.slice(0, 7))


def change_the_order(first, second):
    rewritten(second, lambda table: table.take([1, 0, *range(2, 8)]))


def mix_two_lists(first, second):
    rewritten(second, lambda table: set_value(table, "confidence", 1, 0.5))


def lose_the_teacher(first, second):
    rewritten(second, lambda table: set_value(table, "teacher", 0, "0" * 32))


def change_a_type(first, second):
    def as_text(table):
        place = table.schema.get_field_index("score")
        return table.set_column(place, "score", table["score"].cast(pa.string()))

    rewritten(second, as_text)


DAMAGES = {
    truncate: ("part-00001.parquet", "not a readable label file", {"c", "d"}),
    flip_a_byte: ("part-00001.parquet", "not a readable label file", {"c", "d"}),
    delete: ("lists.parquet", "its list is in no readable part", {"c", "d"}),
    duplicate: ("part-00000.parquet", "the list stands twice, first in part-00000 (1).parquet", set()),
    edit_a_rank: ("part-00001.parquet", "query 'c': document 'd2' has rank 3, by the scores 2", {"c"}),
    edit_a_score: ("part-00001.parquet", "query 'c': document 'd7' has rank 1, by the scores 2", {"c"}),
    edit_a_group: ("part-00001.parquet", "document 'd7' is in group 'missing', by its judgment 'ranked'", {"c"}),
    edit_the_evidence: ("part-00001.parquet", "query 'c': document 'd3' has evidence 3:None, which is no span", {"c"}),
    lose_a_score: ("part-00001.parquet", "query 'd': a document has no id, no text hash or no finite score", {"d"}),
    edit_an_id: ("part-00001.parquet", "not those that its key was made of", {"c"}),
    drop_a_row: ("part-00001.parquet", "query 'd': ids and text hashes are not those", {"d"}),
    change_the_order: ("part-00001.parquet", "query 'c': positions are not 0 to 3", {"c"}),
    mix_two_lists: ("part-00001.parquet", "query 'c': the rows of the list differ in confidence", {"c"}),
    lose_the_teacher: ("part-00001.parquet", "is not in manifest.json", {"c"}),
    change_a_type: ("part-00001.parquet", "column score is string, not double", {"c", "d"}),
}


@pytest.mark.parametrize(
    ("column", "value"), [("score", float("nan")), ("score", None), ("rank", None), ("group", "best"), ("doc_id", None)]
)
def test_a_list_of_which_no_labels_can_be_made_is_named_and_not_read(folder, column, value):
    rewritten(part_paths(folder)[1], lambda table: set_value(table, column, 4, value))
    with pytest.raises(LabelingError, match=r"labels: the list of query 'd' has a document without id, rank.*--repair"):
        list(label_lists(folder))
    repair_labels(folder)
    with pytest.raises(LabelingError, match="has not finished"):
        list(label_lists(folder))


@pytest.mark.parametrize("damage", [drop_a_row, change_the_order, edit_an_id], ids=lambda damage: damage.__name__)
def test_a_list_that_lost_or_changed_a_row_is_not_read(folder, damage):
    damage(*part_paths(folder))
    for read in (lambda: list(label_lists(folder)), lambda: merge_labels([folder], folder.parent / "merged")):
        with pytest.raises(
            LabelingError, match=r"labels: the list of query '[cd]' has not the rows it had; .*--repair"
        ):
            read()


def test_a_whole_folder_has_no_problem(folder):
    found = verify_labels(folder)
    assert (found.lists, found.rows, found.problems, found.notes) == (4, 16, [], [])
    assert repair_labels(folder)[1] == []


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_found_and_exactly_its_lists_are_made_again(folder, lists, make_judge, damage):
    place, message, lost = DAMAGES[damage]
    before = read_labels(folder, WITHOUT_TIMES)
    damage(*part_paths(folder))
    assert any(problem.place == place and message in problem.message for problem in verify_labels(folder).problems), (
        verify_labels(folder).problems
    )

    repair_labels(folder)
    assert not verify_labels(folder).problems
    with pytest.raises(LabelingError, match="has not finished"):
        LabelReader(folder)
    judge = make_judge()
    run_label_job(lists, judge, folder)
    assert {listed.query_id for listed in lists if listed.query in judge.queries} == lost
    assert read_labels(folder, WITHOUT_TIMES).equals(before)
    assert not verify_labels(folder).problems


@pytest.mark.parametrize("name", ["part-00001.parquet", "lists.parquet"])
def test_a_file_that_cannot_be_reached_is_not_set_aside(folder, name):
    (folder / name).unlink()
    (folder / name).symlink_to(name)  # its own target: opening it fails for every user
    for look in (verify_labels, repair_labels):
        with pytest.raises(LabelingError, match=rf"{name}: cannot be read \(Too many .*\); it is left as it is"):
            look(folder)
    assert (folder / name).is_symlink()


def test_a_table_of_lists_that_is_gone_is_a_problem(folder):
    (folder / "lists.parquet").unlink()
    assert [(problem.place, problem.message) for problem in verify_labels(folder).problems] == [
        ("lists.parquet", "there is no such file; run the label job again")
    ]
    assert repair_labels(folder)[1] == [UNFINISHED]
    assert verify_labels(folder).problems == []


def miscount(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"lists": 4', '"lists": 5'))


@pytest.mark.parametrize("harm", [lambda folder: part_paths(folder)[1].unlink(), miscount], ids=["part lost", "count"])
def test_a_folder_is_said_to_be_unfinished_where_nothing_is_set_aside(folder, harm):
    harm(folder)
    assert repair_labels(folder)[1] == [UNFINISHED]
    assert not json.loads((folder / "manifest.json").read_text())["complete"]
    assert list(folder.glob("*.broken")) == []


def test_nothing_is_deleted_by_a_repair(folder):
    edit_a_rank(*part_paths(folder))
    edited = part_paths(folder)[1].read_bytes()
    _, done = repair_labels(folder)
    assert done == ["part-00001.parquet set aside as part-00001.broken; 1 good lists of it kept", UNFINISHED]
    assert (folder / "part-00001.broken").read_bytes() == edited
    assert verify_labels(folder).notes[-1] == "set aside earlier and not read: part-00001.broken"


def test_a_list_that_failed_is_in_order(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(fails_on="hen"), tmp_path)
    assert verify_labels(tmp_path).problems == []
    rewritten(
        part_paths(tmp_path)[0],
        lambda table: set_value(table, "error", table["status"].to_pylist().index("failed"), None),
    )
    (problem,) = verify_labels(tmp_path).problems
    assert problem.message == "query 'c': a failed list must have one row and an error"


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"format": 2}', "\x00"])
def test_a_manifest_that_cannot_be_read_is_a_problem_beyond_repair(folder, text):
    (folder / "manifest.json").write_text(text)
    (problem,) = verify_labels(folder).problems
    assert problem.place == "manifest.json"
    with pytest.raises(LabelingError, match=r"manifest.json: "):
        repair_labels(folder)


def test_an_altered_manifest_is_found(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"overlap"', '"another"').replace('"lists": 4', '"lists": 5'))
    teacher = json.loads(path.read_text())["teacher"]
    assert [problem.message for problem in verify_labels(folder).problems] == [
        f"the description of teacher {teacher} is not the one that was written",
        "counts 5 lists where lists.parquet has 4",
    ]


def test_a_lost_table_of_lists_is_written_again_by_the_job(folder, lists, make_judge):
    before = read_labels(folder, WITHOUT_TIMES)
    (folder / "lists.parquet").write_bytes(b"PAR1")
    assert [problem.place for problem in verify_labels(folder).problems] == ["lists.parquet"]
    repair_labels(folder)
    judge = make_judge()
    run_label_job(lists, judge, folder)
    assert judge.queries == []
    assert read_labels(folder, WITHOUT_TIMES).equals(before)


def test_texts_that_have_changed_are_listed_with_the_lists_that_hold_them(folder, lists):
    class Texts:
        documents = {key: text for one in lists for key, text in zip(one.doc_ids, one.documents, strict=True)}

        def query_hash(self, query_id):
            return text_hash("blue sea" if query_id != "a" else "red foxes") if query_id in "ab" else None

        def document_hash(self, doc_id):
            return None if doc_id == "d8" else text_hash(self.documents[doc_id] + ("!" if doc_id == "d3" else ""))

    before = {path: path.read_bytes() for path in folder.iterdir()}
    messages = [problem.message for problem in verify_labels(folder, Texts()).problems]
    assert messages == [
        "document 'd3' has another text than when it was judged; lists that hold it: 3",
        "document 'd8' is not in the collection; lists that hold it: 1",
        "query 'a' has another text than when it was judged; lists that hold it: 1",
        "query 'c' is not in the collection; lists that hold it: 1",
        "query 'd' is not in the collection; lists that hold it: 1",
    ]
    # the label job makes those lists again without being told
    assert repair_labels(folder, Texts())[1] == []
    assert {path: path.read_bytes() for path in folder.iterdir() if path in before} == before


def test_no_repair_while_a_job_is_at_work(folder):
    with exclusive(folder), pytest.raises(LabelingError, match="a label job is at work here"):
        repair_labels(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(LabelingError, match="no such folder"):
        verify_labels(tmp_path / "nowhere")
