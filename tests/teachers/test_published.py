"""The published head sets, against what their models have."""

import pytest

from teachers.baselines import WeightedHeads
from teachers.errors import TeacherError
from teachers.features import FeatureSettings
from teachers.heads import Head
from teachers.published import check_heads, published_heads

# layers and heads of each layer, from the models' own configurations
SIZES = {
    "meta-llama/Llama-3.1-8B-Instruct": (32, 32),
    "meta-llama/Llama-3.2-3B-Instruct": (28, 24),
    "meta-llama/Llama-3.2-1B-Instruct": (16, 32),
    "Qwen/Qwen2.5-7B-Instruct": (28, 28),
    "Qwen/Qwen3-8B": (36, 32),
}


@pytest.mark.parametrize("name", published_heads())
def test_every_published_head_is_in_its_model(name):
    published = published_heads()[name]
    ranker = published.ranker()
    check_heads(ranker, *SIZES[published.model])
    assert len(set(published.heads)) == 16
    assert sum(ranker.head_weights) == pytest.approx(1)
    assert "QRHead" in published.source


@pytest.mark.parametrize("head", [Head(4, 0), Head(0, 8)])
def test_a_head_beyond_the_model_is_named(head):
    heads = WeightedHeads((Head(1, 1), head), (0.5, 0.5), FeatureSettings(), "static_heads")
    with pytest.raises(TeacherError, match=rf"head {head} is not in a model of 4 layers with 8 heads each"):
        check_heads(heads, 4, 8)
