import json
from contextlib import suppress

import pyarrow.parquet as pq
import pytest

from labeling import LabelingError
from labeling.exports.export import FORMATS, export_labels, refuse_useless
from labeling.exports.selection import ExportSettings
from labeling.job import run_label_job
from labeling.judge import ScoreAdapter
from labeling.label_lists import CandidateList


def exported(folder, texts, tmp_path, form, **settings):
    """The rows of a JSON lines file by query text, and the report."""
    out = tmp_path / "out.jsonl"
    report = export_labels(folder, form, out, texts, ExportSettings(**settings))
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == report.rows
    return rows, report


def test_a_list_by_hand(folder, texts, tmp_path):
    rows, report = exported(folder, texts, tmp_path, "st-list")
    # d2 leads, d1 and d3 are tied, d6 is the worst ranked, d4 and d5 are missing; q3's two documents are tied
    assert rows == [
        {
            "query": "w20 w21",
            "docs": ["w3 w4 w5", "w1 w2", "w6", "w10 w11", "w7 w8", "w9"],
            "labels": [4.0, 3.0, 3.0, 2.0, 1.0, 1.0],
        },
        {"query": "w22", "docs": ["w12", "w13"], "labels": [3.0, 2.0]},
    ]
    assert (report.lists, report.without_rows) == (2, 1)


def test_scores_by_hand(folder, texts, tmp_path):
    def labels(values):
        rows, _ = exported(folder, texts, tmp_path, "st-list", values=values)
        return rows[0]["labels"]

    # missing documents, whose own scores are .1 and .3, have the list's lowest score
    assert labels("scores") == [0.9, 0.5, 0.5, -0.2, -0.2, -0.2]
    assert labels("unit") == pytest.approx([1.0, 0.7 / 1.1, 0.7 / 1.1, 0.0, 0.0, 0.0])
    # mean 1.3 / 6; squares .81 + .25 + .25 + 3 * .04 = 1.43
    deviation = (1.43 / 6 - (1.3 / 6) ** 2) ** 0.5
    assert labels("standardised")[0] == pytest.approx((0.9 - 1.3 / 6) / deviation)
    assert sum(labels("standardised")) == pytest.approx(0)


def test_pairs_and_triples_by_hand(folder, texts, tmp_path):
    pairs, _ = exported(folder, texts, tmp_path, "st-pair")
    assert len(pairs) == 10
    assert pairs[3] == {"query": "w20 w21", "document": "w10 w11", "label": 2.0}
    triples, _ = exported(folder, texts, tmp_path, "st-triple", positives=2, margin=True, values="scores")
    # positive are d2 and d1; d3 is tied with d1 and neither; below stand d6, d4, d5
    first = [(row["positive"], row["negative"], round(row["label"], 9)) for row in triples if row["query"] == "w20 w21"]
    assert first == [
        ("w3 w4 w5", "w10 w11", 1.1), ("w3 w4 w5", "w7 w8", 1.1), ("w3 w4 w5", "w9", 1.1),
        ("w1 w2", "w10 w11", 0.7), ("w1 w2", "w7 w8", 0.7), ("w1 w2", "w9", 0.7),
    ]  # fmt: skip
    # q2's two documents are both positive, and q3's: nothing stands below
    assert {row["query"] for row in triples} == {"w20 w21"}


def test_passages_and_candidates_by_hand(folder, texts, tmp_path):
    (first, _), _ = exported(folder, texts, tmp_path, "tevatron", max_ranked=2, max_missing=0, positives=1)
    assert first == {
        "query_id": "q1",
        "query": "w20 w21",
        "positive_passages": [{"docid": "d2", "title": "w3", "text": "w4 w5"}],
        "negative_passages": [{"docid": "d1", "title": "", "text": "w1 w2"}],
    }
    rows, _ = exported(folder, texts, tmp_path, "rank_llm", max_missing=0)
    assert rows[0]["query"] == {"text": "w20 w21", "qid": "q1"}
    assert rows[0]["candidates"][:2] == [
        {"docid": "d2", "score": 0.9, "doc": {"title": "w3", "text": "w4 w5"}},
        {"docid": "d1", "score": 0.5, "doc": {"text": "w1 w2"}},
    ]
    rows, report = exported(folder, texts, tmp_path, "flagembedding", prompt="rank")
    assert rows[1] == {
        "query": "w22", "pos": ["w12"], "neg": ["w13"], "pos_scores": [1.0], "neg_scores": [0.0], "prompt": "rank",
    }  # fmt: skip
    assert (report.lists, report.without_rows) == (2, 1)


def test_a_random_document_is_a_negative_where_the_values_say_so(folder, texts, tmp_path):
    # of q3 the teacher says that all are equal: no score tells the random document from them, its grade does
    for values, queries in {"scores": 2, "standardised": 2, "grades": 3}.items():
        rows, _ = exported(folder, texts, tmp_path, "flagembedding", random=1, values=values)
        assert len(rows) == queries
        assert all(min(row["pos_scores"]) > max(row["neg_scores"]) for row in rows)


@pytest.mark.parametrize(
    ("settings", "queries", "low", "unknown"),
    [
        ({"min_confidence": 0.0}, ["w20 w21", "w22"], 1, 0),
        ({"min_confidence": 0.0, "known_confidence": True}, ["w22"], 1, 1),
        ({"known_confidence": True}, ["w22", "w23"], 0, 1),
        ({"min_confidence": 0.5}, ["w20 w21", "w22"], 1, 0),
    ],
)
def test_lists_of_low_or_unknown_confidence_are_left_out_and_counted(
    folder, texts, tmp_path, settings, queries, low, unknown
):
    rows, report = exported(folder, texts, tmp_path, "st-pair", **settings)
    assert list(dict.fromkeys(row["query"] for row in rows)) == queries
    assert (report.low_confidence, report.unknown_confidence) == (low, unknown)


def test_draws_depend_on_the_seed_alone(folder, texts, tmp_path):
    def pairs(**settings):
        return exported(folder, texts, tmp_path, "st-pair", **settings)[0]

    everything = [row for row in pairs() if row["query"] == "w20 w21"]
    draws = [[row for row in pairs(max_rows=3, seed=seed) if row["query"] == "w20 w21"] for seed in range(6)]
    assert all(len(draw) == 3 and [row for row in everything if row in draw] == draw for draw in draws)
    assert len({json.dumps(draw) for draw in draws}) > 1
    assert pairs(max_rows=3, seed=4) == pairs(max_rows=3, seed=4)
    missing = {row["document"] for seed in range(8) for row in pairs(max_missing=1, seed=seed)} & {"w7 w8", "w9"}
    assert missing == {"w7 w8", "w9"}
    assert len(pairs(max_missing=1)) == 9


def test_random_documents_are_never_above_others(folder, texts, tmp_path):
    for values in ("grades", "scores", "standardised", "unit"):
        (first, *_), _ = exported(folder, texts, tmp_path, "st-list", random=2, values=values)
        assert set(first["docs"][6:]) == {"w12", "w13"}
        assert max(first["labels"][6:]) <= min(first["labels"][:6])


def test_parquet_holds_what_json_lines_hold_in_the_same_column_order(folder, texts, tmp_path):
    for form, columns in {
        "st-list": ["query", "docs", "labels"],
        "st-pair": ["query", "document", "label"],
        "st-triple": ["query", "positive", "negative"],
    }.items():
        rows, _ = exported(folder, texts, tmp_path, form)
        export_labels(folder, form, tmp_path / "out.parquet", texts)
        table = pq.read_table(tmp_path / "out.parquet")
        assert table.column_names == columns == list(rows[0])
        assert table.to_pylist() == rows


@pytest.mark.parametrize(
    ("form", "name", "texts_given", "message"),
    [
        ("st-lists", "out.jsonl", True, "format 'st-lists'; accepted are st-list, "),
        ("tevatron", "out.parquet", True, "out.parquet: format tevatron goes into a file that ends in .jsonl"),
        ("judgments", "out.csv", False, "format judgments holds texts, .* give the collection"),
    ],
)
def test_what_cannot_be_written_is_refused(folder, texts, tmp_path, form, name, texts_given, message):
    with pytest.raises(LabelingError, match=message):
        export_labels(folder, form, tmp_path / name, texts if texts_given else None)
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_has_changed_is_named_and_nothing_is_written(folder, make_texts, tmp_path):
    with pytest.raises(LabelingError, match=r"query 'q1': document 'd3' has another text than when it was judged"):
        export_labels(folder, "st-pair", tmp_path / "out.jsonl", make_texts(d3="w6 and more"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", [name for name, made in FORMATS.items() if made.texts != "none"])
def test_a_query_that_has_changed_is_named_whichever_texts_a_format_holds(folder, make_texts, tmp_path, form):
    out = tmp_path / f"out{FORMATS[form].suffixes[0]}"
    with pytest.raises(LabelingError, match=r"query 'q2': the query has another text than when it was judged"):
        export_labels(folder, form, out, make_texts(q2="w22 and more"))
    assert list(tmp_path.iterdir()) == []


def test_a_format_of_ratings_does_not_mind_documents_that_have_changed(folder, texts, make_texts, tmp_path):
    for name, given in (("as_judged.csv", texts), ("changed.csv", make_texts(d3="w6 and more"))):
        export_labels(folder, "judgments", tmp_path / name, given)
    assert (tmp_path / "changed.csv").read_text() == (tmp_path / "as_judged.csv").read_text()


HOSTILE = {
    "nul": "a\0b",
    "controls": "\x1b[31mred\x07\x08",
    "template": "<|im_start|>system\n{{ messages }}</s>",
    "direction": "\u202egnitirw\u200f",
    "lines": 'a "quoted",\r\nb\u2028c\u2029d\x85e',
    "half": "smile \ud83d and \udc00",
    "long": "word " * 200_000,
    "blank": " ",
}


class HostileTexts:
    def query(self, query_id):
        return HOSTILE[query_id]

    def passage(self, doc_id):
        return HOSTILE[doc_id], "", HOSTILE[doc_id]


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory):
    class Length:
        def score(self, query, documents):
            return [float(len(document)) for document in documents]

    folder = tmp_path_factory.mktemp("hostile") / "labels"
    lists = [CandidateList(name, text, list(HOSTILE), list(HOSTILE.values())) for name, text in HOSTILE.items()]
    run_label_job(lists, ScoreAdapter(Length(), {"name": "length"}), folder)
    return folder


@pytest.mark.parametrize("form", [name for name, made in FORMATS.items() if ".jsonl" in made.suffixes])
def test_hostile_texts_come_back_as_they_were_but_for_halves_of_characters(hostile_folder, tmp_path, form):
    import datasets

    expected = {text.replace("\ud83d", "\ufffd").replace("\udc00", "\ufffd") for text in HOSTILE.values()}
    for suffix in FORMATS[form].suffixes:
        out = tmp_path / f"out{suffix}"
        settings = ExportSettings(positives=7, max_rows=60)
        report = export_labels(hostile_folder, form, out, HostileTexts(), settings)
        # no character is left at which a reader could end a line too early
        assert suffix == ".parquet" or len(out.read_text(encoding="utf-8").splitlines()) == report.rows
        loaded = datasets.load_dataset(
            suffix.removeprefix(".").replace("jsonl", "json"), data_files=str(out), split="train", cache_dir=tmp_path
        )
        query = [row["query"] for row in loaded]
        found = {entry["text"] if isinstance(entry, dict) else entry for entry in query}
        assert found == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file/out.jsonl", r"out.jsonl: no file can be made there \((File exists|Not a directory)\)$"),
        # no word of resuming: an export is made in one go
        ("folder.jsonl", r"folder.jsonl: cannot be written \(Is a directory\)$"),
    ],
)
def test_a_place_where_no_file_can_be_is_named(folder, texts, tmp_path, name, message):
    (tmp_path / "file").write_text("a thesis")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(LabelingError, match=message):
        export_labels(folder, "st-list", tmp_path / name, texts)


def test_an_export_without_a_row_leaves_what_stood_there(folder, texts, tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("earlier")
    with pytest.raises(
        LabelingError, match=r"no list gives a row, so .*out.jsonl is not written; left out are 2 of low"
    ):
        export_labels(folder, "st-list", out, texts, ExportSettings(min_confidence=0.9, known_confidence=True))
    assert out.read_text() == "earlier"


OTHER = {
    "values": "scores",
    "positives": 2,
    "max_rows": 1,
    "margin": True,
    "prompt": "rank",
    "max_grade": 1,
    "details": True,
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", OTHER)
def test_a_setting_is_refused_where_it_would_change_nothing(folder, texts, tmp_path, form, name):
    out = tmp_path / f"out{FORMATS[form].suffixes[-1]}"
    other = FORMATS[form].values == "scores" and name == "values"
    changed = ExportSettings(**{name: "grades" if other else OTHER[name]})
    # of four positives one is tied with missing documents by score, not by grade: then no list gives a row
    more = {"positives": 4} if name == "values" else {}
    files = []
    for settings in (ExportSettings(), changed):
        out.unlink(missing_ok=True)
        with suppress(LabelingError):
            export_labels(folder, form, out, texts, settings.model_copy(update=more))
        files.append(out.read_bytes() if out.exists() else None)
    assert any(files)
    if files[0] != files[1]:
        refuse_useless(form, changed)
    else:
        with pytest.raises(LabelingError, match=rf"format {form} has no use for {name}; it is for "):
            refuse_useless(form, changed)
