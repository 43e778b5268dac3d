import pytest
import torch

from students.term_control import TermControlLayer, matching_positions, normalised

STOP_WORDS = frozenset({"the"})
SPECIAL_IDS = frozenset(range(5))


def positions(tokenizer, query: str, document: str) -> list[int]:
    encoded = tokenizer([query], [document], padding="max_length", max_length=20)
    return matching_positions(encoded.encodings[0], query, document, STOP_WORDS, SPECIAL_IDS)


def test_matching_words_are_selected_in_the_document_only(encoder_tokenizer):
    # [CLS] w1 w2 [SEP] w3 w2 w1 w2 [SEP]: the document begins at 4
    assert positions(encoder_tokenizer, "w1 w2", "w3 w2 w1 w2") == [5, 6, 7]


def test_stop_words_punctuation_and_special_tokens_never_match(encoder_tokenizer):
    assert positions(encoder_tokenizer, "the w1 :", "the : w2") == []


def test_words_outside_the_vocabulary_match_by_form_and_not_by_the_unknown_token(encoder_tokenizer):
    # [CLS] zeta [SEP] other Zeta [SEP]; both sides are [UNK]
    assert positions(encoder_tokenizer, "zeta", "other Zeta") == [4]


def test_width_and_case_are_normalised():
    assert normalised("ＮumPy") == normalised("NUMPY") == "numpy"


@pytest.mark.embedded
def test_pieces_of_a_word_are_selected_together(embedded_encoder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(embedded_encoder)
    query, document = "What is NumPy?", "numpy arrays: what is fast"
    encoded = tokenizer(query, document)
    chosen = matching_positions(encoded.encodings[0], query, document, frozenset({"what", "is"}), frozenset())
    tokens = encoded.tokens()
    assert [tokens[i] for i in chosen] == ["nu", "##mp", "##y"]


def layer() -> TermControlLayer:
    torch.manual_seed(0)
    return TermControlLayer(16, 4, 32).eval()


def test_the_layer_sees_the_first_token_and_the_selected_ones_alone():
    states = torch.randn(1, 6, 16)
    changed = states.clone()
    changed[:, [1, 3, 5]] += 1
    torch.testing.assert_close(layer()(states, [[2, 4]]), layer()(changed, [[2, 4]]))
    assert not torch.allclose(layer()(states, [[2, 4]]), layer()(states, [[2]]))


def test_the_output_is_the_first_token_s_among_the_chosen():
    states = torch.randn(1, 6, 16)
    expected = layer().layer(states[:, [0, 4, 2]])[:, :1]
    torch.testing.assert_close(layer()(states, [[4, 2]]), expected)


def test_pairs_of_a_batch_do_not_touch_each_other():
    states = torch.randn(3, 6, 16)
    selected = [[1, 2, 3, 4], [], [5]]
    together = layer()(states, selected)
    for row, own in enumerate(selected):
        torch.testing.assert_close(together[row : row + 1], layer()(states[row : row + 1], [own]))


def test_without_a_match_the_first_token_attends_to_itself():
    states = torch.randn(2, 4, 16)
    output = layer()(states, [[], []])
    assert output.shape == (2, 1, 16)
    torch.testing.assert_close(output, layer().layer(states[:, :1]))
