import pytest
from transformers import PreTrainedTokenizerFast

from teachers.errors import TeacherError
from teachers.prompt import PromptBuilder, PromptSettings, cut_words

SETTINGS = PromptSettings(introduction="w100", instruction="w101 w102", null_query="w103", max_document_words=4)


def words(tokenizer, ids):
    return tokenizer.convert_ids_to_tokens(ids)


def test_spans_hold_each_document_and_nothing_else(tokenizer):
    prompt = PromptBuilder(tokenizer, SETTINGS).build("w7 w8", ["w1 w2", "w1 w2 w3", "w2"])
    assert [words(tokenizer, prompt.prefix[start:end]) for start, end in prompt.spans] == [
        ["w1", "w2"], ["w1", "w2", "w3"], ["w2"],
    ]  # fmt: skip
    assert words(tokenizer, prompt.prefix[:2]) == ["<s>", "w100"]


def test_rows_hold_the_query_and_the_null_query(tokenizer):
    prompt = PromptBuilder(tokenizer, SETTINGS).build("w7 w8", ["w1"])
    assert words(tokenizer, prompt.suffix[slice(*prompt.rows)]) == ["w7", "w8"]
    assert words(tokenizer, prompt.null_suffix[slice(*prompt.null_rows)]) == ["w103"]
    assert words(tokenizer, prompt.suffix)[-1] == "</s>"


def test_the_whole_suffix_can_be_read_while_the_query_stays_known(tokenizer):
    settings = SETTINGS.model_copy(update={"query_span": "suffix"})
    prompt = PromptBuilder(tokenizer, settings).build("w7 w8", ["w1"])
    assert prompt.rows == (0, len(prompt.suffix))
    assert words(tokenizer, prompt.suffix[slice(*prompt.query_tokens)]) == ["w7", "w8"]


def test_markup_inside_a_document_is_text(tokenizer):
    # "<", "s", ">" are unknown words here; as markup it would be the one token <s>
    prompt = PromptBuilder(tokenizer, SETTINGS).build("w7", ["w1 <s> w2"])
    assert tokenizer.bos_token_id not in prompt.prefix[slice(*prompt.spans[0])]


def test_long_documents_are_cut_and_an_empty_one_has_an_empty_span(tokenizer):
    prompt = PromptBuilder(tokenizer, SETTINGS).build("w7", ["w1 w2 w3 w4 w5 w6", ""])
    assert prompt.spans[0][1] - prompt.spans[0][0] == 4
    assert prompt.spans[1][0] == prompt.spans[1][1]


def test_cut_words_tells_how_many_are_lost():
    assert cut_words("a  b\nc d", 3) == ("a b c", 1)
    assert cut_words("a b", 3) == ("a b", 0)


def test_the_fingerprint_follows_what_shapes_a_prompt(tokenizer):
    same = PromptBuilder(tokenizer, SETTINGS).fingerprint
    other = PromptBuilder(tokenizer, SETTINGS.model_copy(update={"instruction": "w105"})).fingerprint
    assert PromptBuilder(tokenizer, SETTINGS).fingerprint == same != other


def test_a_template_that_drops_the_content_is_refused(tokenizer):
    broken = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, chat_template="no content")
    with pytest.raises(TeacherError, match="exactly once"):
        PromptBuilder(broken, SETTINGS)
