"""A recipe's `device_map`: what a map that does not fit says, and a teacher that labels with its layers on disk."""

import json

import pytest
import torch

from distill.collections.beir import read_beir
from distill.errors import ModelError
from distill.first_stage import BM25Settings, bm25_run
from distill.models import ModelReference, load_causal_model
from distill.recipe.settings import JudgeSection, TeacherSection
from distill.stages.judge_sources import TeacherSource
from distill.stages.label_engines import EngineSettings, open_engine
from distill.stages.teacher import adopt_teacher, open_teacher
from labeling import LabelingError
from teachers.baselines import equal_weights
from teachers.heads import Head

SPREAD = {"model.embed_tokens": "disk", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
SPREAD |= {f"model.layers.{layer}": "disk" if layer else "cpu" for layer in range(4)}


@pytest.mark.parametrize(
    ("device_map", "said"),
    [
        ({"": 0}, "device_map {'': 0}: Cannot access accelerator"),
        ({"": "gpu"}, "device_map {'': 'gpu'}: Expected one of cpu, cuda"),
        ({"modle": "cpu"}, "device_map names 'modle'; it has lm_head, model, "),
    ],
)
def test_a_map_that_does_not_fit_is_named(causal_folder, device_map, said):
    if torch.cuda.is_available():
        pytest.skip("of a machine without a GPU")
    with pytest.raises(ModelError, match=said):
        load_causal_model(ModelReference.parse(str(causal_folder)), torch.float32, device_map=device_map)


def test_a_teacher_on_disk_labels_as_one_in_memory(causal_folder, beir_folder, tmp_path):
    equal_weights([Head(1, 2), Head(3, 0)]).save(tmp_path / "heads.json")
    section = TeacherSection(model=str(causal_folder), dtype="float32", device_map=SPREAD)
    adopt_teacher(str(tmp_path / "heads.json"), section, tmp_path / "teacher")
    collection = read_beir(beir_folder)
    run = bm25_run(collection, ["q1"], 5, BM25Settings(stemmer="none", stop_words="none"))
    documents = [collection.text(doc_id) for doc_id in run["q1"]]
    judged, described = [], []
    for device_map in ("as_fitted", None):
        teacher = open_teacher(tmp_path / "teacher", None, collection, run, device_map=device_map)
        described.append(teacher.describe())
        judged.append(teacher.judge(collection.query("q1"), documents))
    assert judged[0] == judged[1]
    assert described[0] == described[1]  # so that no list is labelled again where layers move
    assert json.loads((tmp_path / "teacher" / "teacher.json").read_text())["settings"]["device_map"] == SPREAD
    source = TeacherSource(tmp_path / "teacher", None, beir_folder, tmp_path / "none.run", JudgeSection(evidence=False))
    assert source.spread
    on_ray = EngineSettings("ray")
    with (
        pytest.raises(LabelingError, match="say how many GPUs each judge on Ray gets"),
        open_engine(on_ray, source, collection, run),
    ):
        pytest.fail("opened")
