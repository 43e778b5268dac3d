"""A folder that is no label folder but holds one, as a recipe's run does."""

import json

import pytest

from labeling import LabelingError
from labeling.manifest import load_manifest, write_manifest


def test_a_stage_and_a_run_point_to_the_labels_in_them(tmp_path):
    stage, lists = tmp_path / "labels", tmp_path / "labels" / "lists"
    lists.mkdir(parents=True)
    (stage / "manifest.json").write_text(json.dumps({"stage": "labels", "fingerprint": "0"}))
    with pytest.raises(LabelingError, match=r"manifest\.json: not a manifest of labels \(no entry 'format'\)$"):
        load_manifest(stage)
    write_manifest(lists, {"format": 2, "complete": True, "teacher": "t", "teachers": {"t": {}}})
    for folder in (stage, tmp_path):
        with pytest.raises(LabelingError, match=f"; a recipe's run keeps its labels in {lists}$"):
            load_manifest(folder)
    assert load_manifest(lists)["teacher"] == "t"
