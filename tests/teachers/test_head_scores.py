"""Head scores against a second way to get them: full eager maps of the real and the null prompt, in plain loops."""

import pytest
import torch

from teachers.errors import TeacherError
from teachers.head_scores import HeadReader, canonical_order
from teachers.prompt import PromptSettings
from tests.teachers.conftest import CONFIGS, build

SETTINGS = PromptSettings(introduction="w100", instruction="w101", null_query="w103", max_document_words=6)
QUERY = "w7 w8 w9"
DOCUMENTS = ["w1 w2 w3 w4", "w5 w6", "w7 w20 w21 w22 w23 w24 w25 w26", "w30 w31 w32"]


def expected_masses(family, tokenizer, query, documents):
    """real, null and masked mass by the definitions, from whole maps of two separate prompts."""
    model = build(family)
    reader = HeadReader(build(family), tokenizer, SETTINGS)
    texts = canonical_order(query, documents)
    prompt = reader.prompts.build(query, texts)
    model.set_attn_implementation("eager")
    rows = []
    for suffix, (start, end) in ((prompt.suffix, prompt.rows), (prompt.null_suffix, prompt.null_rows)):
        with torch.no_grad():
            maps = model(input_ids=torch.tensor([prompt.prefix + suffix]), output_attentions=True).attentions
        offset = len(prompt.prefix)
        rows.append(torch.stack([m[0, :, offset + start : offset + end].mean(1) for m in maps]))
    real, null, masked = (torch.zeros(4, 4, len(documents)) for _ in range(3))
    for place, document in enumerate(documents):
        start, end = prompt.spans[texts.index(document)]
        real[..., place] = rows[0][..., start:end].sum(-1)
        null[..., place] = rows[1][..., start:end].sum(-1)
        for layer in range(4):
            for head in range(4):
                values = [float(rows[0][layer, head, t] - rows[1][layer, head, t]) for t in range(start, end)]
                mean = sum(values) / len(values)
                std = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
                masked[layer, head, place] = sum(v for v in values if v > mean - 2 * std)
    return real, null, masked


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_scores_equal_those_of_full_eager_maps(family, tokenizer):
    scores = HeadReader(build(family), tokenizer, SETTINGS).read(QUERY, DOCUMENTS)
    real, null, masked = expected_masses(family, tokenizer, QUERY, DOCUMENTS)
    torch.testing.assert_close(scores.real, real, rtol=0, atol=1e-5)
    torch.testing.assert_close(scores.null, null, rtol=0, atol=1e-5)
    torch.testing.assert_close(scores.masked, masked, rtol=0, atol=1e-5)


def test_the_callers_order_changes_nothing(tokenizer):
    reader = HeadReader(build("llama"), tokenizer, SETTINGS)
    order = [2, 0, 3, 1]
    one, other = reader.read(QUERY, DOCUMENTS), reader.read(QUERY, [DOCUMENTS[i] for i in order])
    assert torch.equal(one.real[..., order], other.real)
    assert torch.equal(one.all_heads[order], other.all_heads)
    assert one.truncated.tolist() == [0, 0, 2, 0]


def test_equal_documents_get_equal_scores(tokenizer):
    scores = HeadReader(build("llama"), tokenizer, SETTINGS).read(QUERY, [*DOCUMENTS, DOCUMENTS[1]])
    assert torch.equal(scores.real[..., 1], scores.real[..., 4])


def test_the_order_read_depends_on_the_query():
    documents = [f"w{n}" for n in range(8)]
    orders = {tuple(canonical_order(f"w{n}", documents)) for n in range(5)}
    assert len(orders) == 5
    assert all(sorted(order) == sorted(documents) for order in orders)


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_a_cut_pass_gives_the_same_scores(family, tokenizer):
    reader = HeadReader(build(family), tokenizer, SETTINGS, state_layer=1)
    whole, cut = reader.read(QUERY, DOCUMENTS), reader.at_depth(2).read(QUERY, DOCUMENTS)
    torch.testing.assert_close(cut.real, whole.real[:2], rtol=0, atol=1e-6)
    torch.testing.assert_close(cut.state, whole.state, rtol=0, atol=1e-6)


def test_the_query_state_is_the_mean_hidden_state_of_the_query_tokens(tokenizer):
    model = build("llama")
    reader = HeadReader(model, tokenizer, SETTINGS, state_layer=2)
    scores = reader.read(QUERY, DOCUMENTS)
    prompt = reader.prompts.build(QUERY, canonical_order(QUERY, DOCUMENTS))
    with torch.no_grad():
        outputs = model(input_ids=torch.tensor([prompt.prefix + prompt.suffix]), output_hidden_states=True)
    start, end = (len(prompt.prefix) + place for place in prompt.query_tokens)
    # hidden_states[0] are the embeddings, so the output of layer 2 is at place 3
    torch.testing.assert_close(scores.state, outputs.hidden_states[3][0, start:end].mean(0), rtol=0, atol=1e-5)


def test_reading_leaves_the_model_as_it_was(tokenizer):
    model = build("gemma3")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    HeadReader(model, tokenizer, SETTINGS, state_layer=1).at_depth(2).read(QUERY, DOCUMENTS)
    assert model.config.num_hidden_layers == len(model.get_decoder().layers) == 4
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_a_list_beyond_the_context_is_refused_with_its_size(tokenizer):
    reader = HeadReader(build("llama"), tokenizer, SETTINGS)
    with pytest.raises(TeacherError, match=r"prompt of 90 documents has \d+ tokens and the model reads 512"):
        reader.read(QUERY, [f"w{n} w1 w2 w3" for n in range(90)])


def test_an_empty_list_is_refused(tokenizer):
    with pytest.raises(TeacherError, match="empty candidate list"):
        HeadReader(build("llama"), tokenizer, SETTINGS).read(QUERY, [])
