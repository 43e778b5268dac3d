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


@pytest.mark.parametrize("query", ["w7 w8", "w103", "w103 w8", ""])
@pytest.mark.parametrize("query_span", ["query", "suffix"])
@pytest.mark.parametrize("null_instruction", [True, False])
def test_a_trimmed_prompt_reads_the_same_tokens_behind_the_same_text(tokenizer, query, query_span, null_instruction):
    changes = {"query_span": query_span, "null_instruction": null_instruction}
    prompt = PromptBuilder(tokenizer, SETTINGS.model_copy(update=changes)).build(query, ["w1 w2", "w3"])
    short = prompt.trimmed()
    assert short.spans == prompt.spans
    for suffix, rows in (("suffix", "rows"), ("null_suffix", "null_rows"), ("suffix", "query_tokens")):
        whole, cut = prompt.prefix + getattr(prompt, suffix), short.prefix + getattr(short, suffix)
        assert whole[: len(cut)] == cut
        (start, end), (short_start, short_end) = getattr(prompt, rows), getattr(short, rows)
        assert len(short.prefix) + short_start == len(prompt.prefix) + start
        assert short_end - short_start == end - start
        assert 0 <= short_start <= short_end <= len(getattr(short, suffix))


def test_a_trimmed_prompt_has_only_the_queries_left_to_read(tokenizer):
    prompt = PromptBuilder(tokenizer, SETTINGS).build("w7 w8", ["w1"]).trimmed()
    assert words(tokenizer, prompt.suffix) == ["w7", "w8"]
    assert words(tokenizer, prompt.null_suffix) == ["w103"]
    assert words(tokenizer, prompt.prefix[-4:]) == ["w101", "w102", "<unk>", ":"]


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
