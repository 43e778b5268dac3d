"""The teacher as others see it: judging, saving, loading, and head scores that are read only once."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from teachers.baselines import AllHeads, WeightedHeads, select_features
from teachers.errors import TeacherError
from teachers.features import FeatureSettings, head_features
from teachers.fitting import RouteHeadSettings
from teachers.head_scores import HeadReader, HeadScores
from teachers.heads import Head, depth_of, flat_indices
from teachers.prompt import PromptSettings
from teachers.routehead import RouteHead
from teachers.router import RouterSettings
from teachers.score_store import HeadScoreStore, read_lists
from teachers.teacher import HeadTeacher
from tests.teachers.conftest import build

PROMPT = PromptSettings(introduction="w100", instruction="w101", null_query="w103", max_document_words=6)
SETTINGS = RouteHeadSettings(router=RouterSettings(epochs=10, folds=2))
MODEL = {"reference": "tiny", "version": "1"}
QUERY, DOCUMENTS = "w7 w8", ["w1 w2 w3", "w5 w6", "w7 w20 w21", "w30 w31 w32 w33 w34 w35 w36 w37"]


@pytest.fixture(scope="module")
def reader(tokenizer):
    return HeadReader(build("llama"), tokenizer, PROMPT, state_layer=1)


@pytest.fixture(scope="module")
def together_reader(tokenizer):
    """Reads several lists in one pass, as on an accelerator."""

    class ReadsTogether(HeadReader):
        batch_tokens = 200

    return ReadsTogether(build("llama"), tokenizer, PROMPT, state_layer=1)


@pytest.fixture(scope="module")
def lists():
    return [(f"w{n} w{n + 1}", [f"w{n} w{50 + n}", f"w{n + 60} w2", f"w{n + 90} w3 w4"]) for n in range(12)]


@pytest.fixture(scope="module")
def fitted(reader, lists):
    scores = [reader.read(query, documents) for query, documents in lists]
    return RouteHead.fit(scores, [[1.0, 0.0, 0.0]] * len(lists), SETTINGS)


def test_judge_answers_in_the_order_given(reader, fitted):
    teacher = HeadTeacher(reader, fitted[0], MODEL)
    order = [3, 1, 0, 2]
    there = teacher.judge(QUERY, DOCUMENTS)
    back = teacher.judge(QUERY, [DOCUMENTS[i] for i in order])
    assert [there[i] for i in order] == back
    assert [row["truncated"] for row in there] == [0, 0, 0, 2]


def test_the_cut_pass_of_a_teacher_scores_as_the_full_one(reader, fitted):
    teacher = HeadTeacher(reader, fitted[0], MODEL)
    expected = fitted[0].score(reader.read(QUERY, DOCUMENTS)).tolist()
    assert [row["score"] for row in teacher.judge(QUERY, DOCUMENTS)] == pytest.approx(expected, abs=1e-5)


def test_a_teacher_judges_the_very_prompt_that_was_read_to_fit_it(tokenizer, fitted):
    """With the caller's order the first document stands last, and must not be turned round twice."""
    reader = HeadReader(build("llama"), tokenizer, PROMPT.model_copy(update={"order": "best_last"}), state_layer=1)
    documents = [*DOCUMENTS, DOCUMENTS[0]]
    expected = fitted[0].score(reader.read(QUERY, documents[:4])).tolist()
    judged = [row["score"] for row in HeadTeacher(reader, fitted[0], MODEL).judge(QUERY, documents)]
    assert judged == pytest.approx([*expected, expected[0]], abs=1e-5)
    other_way = fitted[0].score(reader.read(QUERY, documents[:4][::-1])).tolist()
    assert judged[:4] != pytest.approx(other_way[::-1], abs=1e-3)


def test_a_teacher_runs_no_layer_that_it_does_not_need(reader):
    ranker = WeightedHeads((Head(1, 0),), (1.0,), FeatureSettings(), "static_heads")
    assert HeadTeacher(reader, ranker, MODEL).reader.depth == 2
    assert HeadTeacher(reader, AllHeads(), MODEL).reader.depth == 4


def test_a_document_is_missing_where_the_null_query_draws_as_much_attention(reader):
    scores = reader.read(QUERY, DOCUMENTS)
    calibrated = (scores.real - scores.null)[1, 2]
    for weight in (1.0, -1.0):
        # a second, negative head must not count, whatever it sees
        ranker = WeightedHeads((Head(1, 2), Head(0, 0)), (1.0, -abs(weight)), FeatureSettings(), "by hand")
        judged = HeadTeacher(reader, ranker, MODEL).judge(QUERY, DOCUMENTS)
        assert [row["missing"] for row in judged] == (calibrated <= 0).tolist()


def test_z_scores_have_mean_zero_and_unit_spread(reader):
    features = head_features(reader.read(QUERY, DOCUMENTS), FeatureSettings(normalise="zscore"))
    torch.testing.assert_close(features.mean(1), torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.std(1, unbiased=False), torch.ones(16), atol=1e-4, rtol=0)


def test_a_list_of_one_document_has_features_of_zero(reader):
    features = head_features(reader.read(QUERY, DOCUMENTS[:1]), FeatureSettings())
    assert torch.equal(features, torch.zeros(16, 1))


def test_mass_options_follow_their_definitions(reader):
    scores = reader.read(QUERY, DOCUMENTS)
    raw = head_features(scores, FeatureSettings(mass="raw", normalise="none"))
    assert torch.equal(raw, scores.real.flatten(0, 1))
    one = select_features(scores, [Head(2, 1)], FeatureSettings(mass="raw", normalise="none"))
    assert torch.equal(one[0], scores.real[2, 1])


def test_logarithms_follow_their_definitions():
    # one head: documents with 0.4 and 0.1 of its attention, 0.2 and 0.2 under the null query
    masses, null = torch.tensor([[[0.4, 0.1]]]), torch.tensor([[[0.2, 0.2]]])
    scores = HeadScores(masses, null, masses, masses[0, 0], torch.zeros(1), torch.zeros(2), 1)
    ratio = head_features(scores, FeatureSettings(mass="log_ratio", normalise="none"))
    torch.testing.assert_close(ratio, torch.tensor([[math.log(2), -math.log(2)]]), atol=2e-4, rtol=0)
    # the default: the document with four times the mass is log 2 above the mean of the two, the other as far below
    features = head_features(scores, FeatureSettings())
    torch.testing.assert_close(features, torch.tensor([[math.log(2), -math.log(2)]]), atol=2e-4, rtol=0)


def test_a_document_out_of_sight_has_a_finite_feature():
    masses = torch.tensor([[[0.4, 0.0]]])
    scores = HeadScores(masses, masses, masses, masses[0, 0], torch.zeros(1), torch.zeros(2), 1)
    assert head_features(scores, FeatureSettings()).isfinite().all()


def test_saved_and_loaded_is_equal(reader, fitted, tmp_path):
    routehead, report, _ = fitted
    routehead.save(tmp_path, reader, MODEL, report)
    loaded = RouteHead.load(tmp_path, reader, MODEL)
    scores = reader.read(QUERY, DOCUMENTS)
    assert torch.equal(loaded.score(scores), routehead.score(scores))
    assert loaded.describe() == routehead.describe()
    # another user's job reads it too: safetensors 0.8 would let its owner alone
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_a_router_of_another_model_or_prompt_is_refused(reader, fitted, tokenizer, tmp_path):
    routehead, report, _ = fitted
    routehead.save(tmp_path, reader, MODEL, report)
    with pytest.raises(TeacherError, match=r"fitted for model .*'version': '1'.*'version': '2'"):
        RouteHead.load(tmp_path, reader, {**MODEL, "version": "2"})
    other = HeadReader(build("llama"), tokenizer, PROMPT.model_copy(update={"instruction": "w9"}), state_layer=1)
    with pytest.raises(TeacherError, match="fitted for prompt"):
        RouteHead.load(tmp_path, other, MODEL)


def test_a_folder_without_a_router_is_refused(reader, tmp_path):
    with pytest.raises(TeacherError, match="no RouteHead can be read here"):
        RouteHead.load(tmp_path, reader, MODEL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("threshold"), r"routehead\.json: no 'threshold'; fit again"),
        (lambda content: content.pop("features"), r"routehead\.json: no 'features'; fit again"),
        (lambda content: content.update(heads=["5-1"]), "heads or features are not as a fit writes them"),
        (lambda content: content.update(heads=7), "heads or features are not as a fit writes them"),
        (lambda content: content.update(features={"mass": "heavy"}), "heads or features are not as a fit writes them"),
    ],
)
def test_a_damaged_description_of_a_router_is_named(reader, fitted, tmp_path, change, message):
    routehead, report, _ = fitted
    routehead.save(tmp_path, reader, MODEL, report)
    content = json.loads((tmp_path / "routehead.json").read_text())
    change(content)
    (tmp_path / "routehead.json").write_text(json.dumps(content))
    with pytest.raises(TeacherError, match=message):
        RouteHead.load(tmp_path, reader, MODEL)


def test_what_else_a_damaged_router_lacks_is_named(reader, fitted, tmp_path):
    routehead, report, _ = fitted
    routehead.save(tmp_path, reader, MODEL, report)
    tensors = {name: tensor for name, tensor in routehead.router.tensors().items() if name != "bias"}
    (tmp_path / "routehead.safetensors").write_bytes(save(tensors))
    with pytest.raises(TeacherError, match=r"routehead\.safetensors: no 'bias'; fit again"):
        RouteHead.load(tmp_path, reader, MODEL)
    (tmp_path / "routehead.json").write_text("[1]")
    with pytest.raises(TeacherError, match=r"no RouteHead can be read here: routehead\.json holds a JSON list"):
        RouteHead.load(tmp_path, reader, MODEL)
    (tmp_path / "routehead.json").write_text("[" * 100_000)
    with pytest.raises(TeacherError, match="no RouteHead can be read here"):
        RouteHead.load(tmp_path, reader, MODEL)


def test_the_description_follows_what_was_learned(reader, fitted):
    routehead = fitted[0]
    changed = replace(routehead, router=replace(routehead.router, bias=routehead.router.bias + 1))
    assert changed.describe()["router"] != routehead.describe()["router"]
    assert json.dumps(HeadTeacher(reader, routehead, MODEL).describe())


def test_stored_scores_are_not_read_again(reader, lists, tmp_path):
    first = list(read_lists(reader, lists, HeadScoreStore(tmp_path, MODEL)))
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = list(read_lists(reader, lists, HeadScoreStore(tmp_path, MODEL)))
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert all(torch.equal(a.real, b.real) and torch.equal(a.state, b.state) for a, b in zip(first, again, strict=True))


def test_scores_of_another_model_are_not_found_and_not_lost(reader, lists, tmp_path):
    list(read_lists(reader, lists, HeadScoreStore(tmp_path, MODEL)))
    parts = set(tmp_path.iterdir())
    tuned = HeadScoreStore(tmp_path, {**MODEL, "version": "2"})
    assert tuned.key(reader, *lists[0]) not in tuned
    list(read_lists(reader, lists, tuned))
    assert parts < set(tmp_path.iterdir())
    first = HeadScoreStore(tmp_path, MODEL)
    assert all(first.key(reader, *entry) in first for entry in lists)


def test_two_processes_on_one_folder_keep_each_others_scores(reader, lists, tmp_path):
    first, second = HeadScoreStore(tmp_path, MODEL), HeadScoreStore(tmp_path, MODEL)
    one, other = (first.key(reader, *entry) for entry in lists[:2])
    scores = dict(zip((one, other), reader.read_many(lists[:2]), strict=True))
    first.put(scores)
    second.put({one: scores[one]})
    for store in (first, HeadScoreStore(tmp_path, MODEL)):
        assert store.get(other).real.equal(scores[other].real)


def test_two_processes_can_write_one_part_at_a_time(reader, lists, tmp_path, monkeypatch):
    first, second = HeadScoreStore(tmp_path, MODEL), HeadScoreStore(tmp_path, MODEL)
    key, replace = first.key(reader, *lists[0]), Path.replace
    scores = {key: reader.read(*lists[0])}

    def second_comes_between(path, target):
        monkeypatch.setattr(Path, "replace", replace)
        second.put(scores)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", second_comes_between)
    first.put(scores)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    assert first.get(key).real.equal(scores[key].real)


def test_a_part_that_could_not_be_written_leaves_nothing_behind(reader, lists, tmp_path, monkeypatch):
    store = HeadScoreStore(tmp_path, MODEL)

    def full(path, target):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        store.put({store.key(reader, *lists[0]): reader.read(*lists[0])})
    assert not list(tmp_path.iterdir())


def test_parts_named_by_their_first_list_are_still_read(reader, lists, tmp_path):
    """So they were named once; a folder of scores outlives the program that wrote it."""
    expected = [scores.real for scores in read_lists(reader, lists, HeadScoreStore(tmp_path, MODEL))]
    store = HeadScoreStore(tmp_path, MODEL)
    (part,) = tmp_path.iterdir()
    old = part.rename(tmp_path / f"{store.key(reader, *lists[0])[:16]}.safetensors")
    again = [scores.real for scores in read_lists(reader, lists, HeadScoreStore(tmp_path, MODEL))]
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))
    assert list(tmp_path.iterdir()) == [old]


def test_an_interruption_keeps_the_scores_read_so_far(reader, lists, tmp_path):
    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_lists_now(reader, lists, tmp_path, stop)
    progress = []
    store = HeadScoreStore(tmp_path, MODEL)
    assert lists_in(tmp_path) == [5]
    list(read_lists(reader, lists, store, lambda done, total: progress.append(done)))
    assert progress[-1] == len(lists)


def test_lists_read_together_are_stored_as_lists_read_alone(reader, together_reader, lists, tmp_path):
    many = [*lists, *[(f"w3 {query}", documents) for query, documents in lists], lists[0]]
    progress = []
    alone = list(read_lists(reader, many, HeadScoreStore(tmp_path / "alone", MODEL)))
    store = HeadScoreStore(tmp_path / "together", MODEL)
    together = list(read_lists(together_reader, many, store, lambda done, total: progress.append((done, total))))
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.real, other.real, rtol=0, atol=1e-6)
        torch.testing.assert_close(one.state, other.state, rtol=0, atol=1e-5)
    # a part of 16 lists, then the other eight; the last one is the first again
    assert progress == [(16, 25), (25, 25)]
    assert sorted(lists_in(tmp_path / "together")) == [8, 16]


def test_an_interruption_of_lists_read_together_costs_no_part_that_was_read(together_reader, lists, tmp_path):
    many = [*lists, *[(f"w3 {query}", documents) for query, documents in lists]]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(read_lists(together_reader, many, HeadScoreStore(tmp_path, MODEL), stop))
    assert lists_in(tmp_path) == [16]


def test_a_broken_part_is_passed_over_and_its_lists_are_read_again(reader, lists, tmp_path, caplog):
    expected = [scores.real for scores in read_lists(reader, lists, HeadScoreStore(tmp_path, MODEL))]
    part = next(tmp_path.iterdir())
    half = part.read_bytes()[:100]
    # replaced, not truncated: tensors read before may still be mapped from the old file
    part.unlink()
    part.write_bytes(half)
    again = [scores.real for scores in read_lists(reader, lists, HeadScoreStore(tmp_path, MODEL))]
    assert "cannot be read" in caplog.text
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))


def test_heads_are_written_as_they_are_read():
    assert Head.parse("12.5") == Head(12, 5)
    assert str(Head(12, 5)) == "12.5"
    # layers outermost, 8 heads each: 12 * 8 + 5
    assert Head.of_flat(101, 8) == Head(12, 5)
    assert flat_indices([Head(12, 5)], 8) == [101]
    assert depth_of([Head(3, 1), Head(7, 0)]) == 8


@pytest.mark.parametrize("text", ["12", "12-5", "a.b", "1.2.3", ".5", "-1.2"])
def test_what_is_no_head_is_refused(text):
    with pytest.raises(ValueError, match=r"LAYER\.INDEX"):
        Head.parse(text)


def read_lists_now(reader, lists, folder, on_progress):
    return list(read_lists(reader, lists, HeadScoreStore(folder, MODEL), on_progress))


def lists_in(folder):
    return [sum(key.endswith(".real") for key in keys_of(path)) for path in folder.iterdir()]


def keys_of(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as opened:
        return list(opened.keys())
