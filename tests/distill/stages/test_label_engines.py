"""Which devices each judge gets, by hand."""

import pytest

from distill.recipe.settings import EngineSection
from distill.stages.label_engines import LOCAL, EngineSettings, device_shares
from labeling import LabelingError
from labeling.engines.ray_data import actors_in


@pytest.mark.parametrize(
    ("devices", "gpus", "spread", "expected"),
    [
        ([], None, False, []),
        ([], 2, True, []),
        (["0", "1", "2"], None, False, ["0", "1", "2"]),
        (["0", "1", "2"], None, True, ["0,1,2"]),
        (["0", "1", "2", "3", "7"], 2, True, ["0,1", "2,3"]),
    ],
)
def test_devices_are_dealt_out_whole(devices, gpus, spread, expected):
    assert device_shares(devices, gpus, spread) == expected


def test_too_few_devices_are_told_before_a_model_is_loaded():
    with pytest.raises(LabelingError, match="each judge is to have 4 GPUs, and this machine has 3"):
        device_shares(["0", "1", "2"], 4, True)


@pytest.mark.parametrize(("machines", "gpus", "actors"), [([], 1, 0), ([0, 0], 2, 0), ([8, 4], 1, 12), ([8, 3], 2, 5)])
def test_an_actors_gpus_are_on_one_machine(machines, gpus, actors):
    assert actors_in(machines, gpus) == actors


def test_a_cluster_without_such_a_machine_is_refused():
    with pytest.raises(LabelingError, match="no machine of the cluster has more than 2"):
        actors_in([2, 2], 4)


def test_a_recipe_says_where_lists_are_judged():
    section = EngineSection.model_validate({"name": "ray", "address": "auto", "judges": 3, "gpus": 2, "batch_lists": 4})
    assert EngineSettings.of(section) == EngineSettings("ray", 3, "auto", 4, 2)
    assert EngineSettings.of(None) == LOCAL
