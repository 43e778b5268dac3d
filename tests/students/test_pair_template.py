import pytest
from transformers import AutoTokenizer

from students.pair_template import set_pair_template

TEMPLATE = "query : {query} document : {document} relevant :"


def tokenizer(start: str, template: str = TEMPLATE):
    loaded = AutoTokenizer.from_pretrained(start)
    set_pair_template(loaded, template)
    return loaded


def test_a_pair_is_encoded_as_the_template_written_out(decoder_start):
    plain = AutoTokenizer.from_pretrained(decoder_start)
    written = plain.encode("query : w1 w2 document : w3 relevant :", add_special_tokens=False)
    assert tokenizer(decoder_start)("w1 w2", "w3")["input_ids"] == written


def test_the_document_may_come_first(decoder_start):
    plain = AutoTokenizer.from_pretrained(decoder_start)
    template = "document : {document} query : {query} relevant :"
    written = plain.encode("document : w3 query : w1 w2 relevant :", add_special_tokens=False)
    assert tokenizer(decoder_start, template)("w1 w2", "w3")["input_ids"] == written


def test_truncation_cuts_the_texts_and_never_the_template(decoder_start):
    ids = tokenizer(decoder_start)("w1", "w2 " * 50, truncation=True, max_length=14)["input_ids"]
    assert len(ids) == 14
    assert AutoTokenizer.from_pretrained(decoder_start).decode(ids).endswith("w2 relevant :")


def test_the_template_survives_saving(decoder_start, tmp_path):
    saved = tokenizer(decoder_start)
    saved.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.chat_template is None
    assert dict(loaded("w1", "w2 w3")) == dict(saved("w1", "w2 w3"))
    assert set(loaded("w1", "w2")) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize(
    "template", ["{query} {document}", "{query} relevant :", "{query} {query} {document} :", "relevant :"]
)
def test_a_template_that_cannot_be_pooled_is_refused(decoder_start, template):
    with pytest.raises(ValueError, match="once each and ends in text, as in 'document: {document}"):
        tokenizer(decoder_start, template)


def test_a_template_that_ends_in_the_padding_token_is_refused(decoder_start):
    with pytest.raises(ValueError, match=r"ends in the padding token '\[SEP\]'"):
        tokenizer(decoder_start, "{query} {document} [SEP]")
