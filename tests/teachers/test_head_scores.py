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


def expected_masses(family, tokenizer, query, documents, texts=None, dtype=torch.float32, settings=SETTINGS):
    """real, null and masked mass by the definitions, from whole maps of two separate prompts."""
    model = build(family).to(dtype)
    reader = HeadReader(build(family), tokenizer, settings)
    texts = texts or canonical_order(query, documents)
    prompt = reader.prompts.build(query, texts)
    model.set_attn_implementation("eager")
    rows = []
    for suffix, (start, end) in ((prompt.suffix, prompt.rows), (prompt.null_suffix, prompt.null_rows)):
        with torch.no_grad():
            maps = model(input_ids=torch.tensor([prompt.prefix + suffix]), output_attentions=True).attentions
        offset = len(prompt.prefix)
        rows.append(torch.stack([m[0, :, offset + start : offset + end].float().mean(1) for m in maps]))
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


@pytest.mark.parametrize("family", ["llama", "gemma2"])
@pytest.mark.parametrize("query_span", ["query", "suffix"])
@pytest.mark.parametrize("null_instruction", [True, False])
def test_scores_equal_those_of_full_eager_maps_with_other_settings(family, query_span, null_instruction, tokenizer):
    changes = {"query_span": query_span, "null_instruction": null_instruction}
    settings = PromptSettings(**{**SETTINGS.model_dump(), **changes})
    scores = HeadReader(build(family), tokenizer, settings).read(QUERY, DOCUMENTS)
    expected = expected_masses(family, tokenizer, QUERY, DOCUMENTS, settings=settings)
    for name, masses in zip(("real", "null", "masked"), expected, strict=True):
        torch.testing.assert_close(getattr(scores, name), masses, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_a_bf16_model_scores_as_its_own_eager_maps(family, tokenizer):
    scores = HeadReader(build(family).bfloat16(), tokenizer, SETTINGS).read(QUERY, DOCUMENTS)
    real, null, _ = expected_masses(family, tokenizer, QUERY, DOCUMENTS, dtype=torch.bfloat16)
    for read, expected in ((scores.real, real), (scores.null, null)):
        # one rounding of masses below 1 where the inputs are the same, and what three more layers make of it
        torch.testing.assert_close(read[0], expected[0], rtol=0, atol=2**-8)
        torch.testing.assert_close(read, expected, rtol=0, atol=2**-5)
    assert scores.real.dtype == scores.state.dtype == torch.float32


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


def test_the_query_state_comes_from_the_middle_or_from_the_last_layer_that_is_read(tokenizer):
    model = build("llama")
    assert HeadReader(model, tokenizer, SETTINGS).state_layer == (model.config.num_hidden_layers - 1) // 2
    shallow = HeadReader(model, tokenizer, SETTINGS, depth=1)
    assert shallow.read(QUERY, DOCUMENTS).state.shape == (model.config.hidden_size,)
    assert shallow.state_layer == 0
    with pytest.raises(TeacherError, match="state layers from 0 to below the depth"):
        HeadReader(model, tokenizer, SETTINGS, depth=1, state_layer=1)


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


def uniform_reader(tokenizer, **settings):
    """A reader of a model that spreads its attention evenly over all that it may see."""
    model = build("llama")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "q_proj" in name:
                weight.zero_()
    return HeadReader(model, tokenizer, PromptSettings(**{**SETTINGS.model_dump(), **settings}))


def test_a_list_beyond_the_context_is_read_in_windows_on_one_scale(tokenizer):
    documents = [f"w{n} w1 w2" + " w3" * (n % 3) for n in range(90)]
    scores = uniform_reader(tokenizer).read(QUERY, documents)
    # even attention: every document draws as its tokens do, in whatever window it stood, and all as in one long prompt
    per_token = scores.real / torch.tensor([float(len(document.split())) for document in documents])
    torch.testing.assert_close(per_token, per_token[:1, :1, :1].expand_as(per_token), rtol=1e-4, atol=0)
    prompt = uniform_reader(tokenizer).prompts.build(QUERY, documents)
    assert prompt.token_count > 512
    rows = range(len(prompt.prefix) + prompt.rows[0], len(prompt.prefix) + prompt.rows[1])
    expected = sum(1 / (row + 1) for row in rows) / len(rows)
    assert float(per_token[0, 0, 0]) == pytest.approx(expected, rel=0.03)


def test_windows_do_not_depend_on_the_callers_order(tokenizer):
    reader = HeadReader(build("llama"), tokenizer, PromptSettings(**{**SETTINGS.model_dump(), "window_tokens": 60}))
    documents = [f"w{n} w1 w2 w3" for n in range(20)]
    one, other = reader.read(QUERY, documents), reader.read(QUERY, documents[::-1])
    assert torch.equal(one.real.flip(-1), other.real)
    assert one.tokens > 60


def test_documents_too_long_for_a_window_are_refused(tokenizer):
    reader = HeadReader(build("llama"), tokenizer, PromptSettings(**{**SETTINGS.model_dump(), "window_tokens": 40}))
    with pytest.raises(TeacherError, match="lower max_document_words or raise window_tokens"):
        reader.read(QUERY, [f"w{n} w1 w2 w3 w4 w5" for n in range(20)])


def test_several_orders_are_averaged(tokenizer):
    read = HeadReader(build("llama"), tokenizer, PromptSettings(**{**SETTINGS.model_dump(), "orders": 2})).read
    kept = HeadReader(build("llama"), tokenizer, PromptSettings(**{**SETTINGS.model_dump(), "order": "best_last"}))
    singles = []
    for order in range(2):
        texts = canonical_order(QUERY, DOCUMENTS, order)
        columns = [texts[::-1].index(text) for text in DOCUMENTS]
        singles.append(kept.read(QUERY, texts[::-1]).real[..., columns])
    assert not torch.allclose(*singles)
    torch.testing.assert_close(read(QUERY, DOCUMENTS).real, (singles[0] + singles[1]) / 2)
    second = HeadReader(build("llama"), tokenizer, SETTINGS, first_order=1)
    torch.testing.assert_close(second.at_depth(second.layer_count).read(QUERY, DOCUMENTS).real, singles[1])


def test_where_the_caller_says_the_order_there_is_no_second(tokenizer):
    settings = PromptSettings(**{**SETTINGS.model_dump(), "order": "best_last"})
    with pytest.raises(TeacherError, match="first_order is 1, but the caller's order is one"):
        HeadReader(build("llama"), tokenizer, settings, first_order=1)


def test_the_callers_order_can_be_kept_with_the_first_document_last(tokenizer):
    real, null, _ = expected_masses("llama", tokenizer, QUERY, DOCUMENTS, texts=DOCUMENTS[::-1])
    settings = PromptSettings(**{**SETTINGS.model_dump(), "order": "best_last"})
    scores = HeadReader(build("llama"), tokenizer, settings).read(QUERY, DOCUMENTS)
    torch.testing.assert_close(scores.real, real, rtol=0, atol=1e-5)
    torch.testing.assert_close(scores.null, null, rtol=0, atol=1e-5)


def test_the_null_query_can_stand_without_the_instruction(tokenizer):
    settings = PromptSettings(**{**SETTINGS.model_dump(), "null_instruction": False})
    prompts = HeadReader(build("llama"), tokenizer, settings).prompts
    prompt = prompts.build(QUERY, DOCUMENTS)
    instruction = tokenizer("w101", add_special_tokens=False).input_ids[0]
    assert instruction in prompt.suffix
    assert instruction not in prompt.null_suffix
    start, end = prompt.null_rows
    assert tokenizer.decode(prompt.null_suffix[start:end]).strip() == "w103"


def test_an_empty_list_is_refused(tokenizer):
    with pytest.raises(TeacherError, match="empty candidate list"):
        HeadReader(build("llama"), tokenizer, SETTINGS).read(QUERY, [])
