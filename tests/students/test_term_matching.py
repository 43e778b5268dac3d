"""Selection with the three kinds of tokenizer that encoders have, trained here on a few sentences."""

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from students import StudentError
from students.term_matching import TermMatcher

CORPUS = [
    "the runner was running in new running shoes, and the shoes cost 1,000 won",
    "run numpy arrays: an array of arrays sorted by numpy is fast",
    "the card rtx-4090 and the phone iphone15 came out on 2024-05-01 with 3.14 more",
    "cafe and naïve café users read the 😀 of 人工智能 and 서울은 크다",
] * 3
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def wordpiece() -> Tokenizer:
    """As BERT's: lower case, accents stripped, pieces marked with ##."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=110, special_tokens=SPECIAL))
    return tokenizer


def byte_level_bpe(trim_offsets: bool) -> Tokenizer:
    """As RoBERTa's and ModernBERT's: the space belongs to the word after it, and to its offsets unless trimmed."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=trim_offsets)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=380, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def unigram() -> Tokenizer:
    """As XLM-R's and DeBERTa's: NFKC, spaces are ▁, which begins each word and may be a token by itself."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=SPECIAL, unk_token="[UNK]")
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


KINDS = {
    "wordpiece": wordpiece,
    "byte-level BPE": lambda: byte_level_bpe(False),
    "byte-level BPE, trimmed": lambda: byte_level_bpe(True),
    "unigram": unigram,
}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request) -> PreTrainedTokenizerFast:
    tokenizer = KINDS[request.param]()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    trim = processors.ByteLevel(trim_offsets=request.param.endswith("trimmed"))
    pair = "[CLS] $A [SEP] $B:1 [SEP]:1"
    template = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair=pair, special_tokens=ends)
    tokenizer.post_processor = processors.Sequence([trim, template]) if "byte" in request.param else template
    special = {f"{word[1:-1].lower()}_token": word for word in SPECIAL}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **special)


def encoded(tokenizer, query: str, document: str, **options):
    return tokenizer([query], [document], **options).encodings[0]


def selected(tokenizer, query: str, document: str, language: str = "english", **options) -> list[tuple[int, int]]:
    """Characters of the document that the selected tokens stand for, without spaces, neighbours joined."""
    encoding = encoded(tokenizer, query, document, **options)
    spans = []
    for place in TermMatcher(tokenizer, language).positions(encoding, query, document):
        assert encoding.sequence_ids[place] == 1
        start, end = encoding.offsets[place]
        start += len(document[start:end]) - len(document[start:end].lstrip())
        if spans and spans[-1][1] >= start:
            spans[-1] = (spans[-1][0], end)
        elif start < end:
            spans.append((start, end))
    return spans


def words(tokenizer, query: str, document: str, language: str = "english", **options) -> list[str]:
    return [document[start:end] for start, end in selected(tokenizer, query, document, language, **options)]


@pytest.mark.parametrize(
    ("query", "document", "expected"),
    [
        ("running shoes", "The runner, a shoe: he RUNS.", ["shoe", "RUNS"]),
        ("arrays of numpy", "numpy (array) is not numpyish", ["numpy", "array"]),
        ("the of and", "the shoes of numpy and the array", []),
        ("RTX-4090", "an rtx-4090, an rtx-4091, 4090 rtx", ["rtx-4090"]),
        ("3.14", "3.14 3 14 3.1 3.145 13.14", ["3.14"]),
        ("1,000 shoes", "1000 shoe, 1,000, 000 and 1", ["1000", "shoe", "1,000"]),
        ("2024-05-01", "2024 05 01 2024-05-02 (2024-05-01)", ["2024-05-01"]),
        ("iPhone15", "iphone 15 IPHONE15", ["IPHONE15"]),
        ("ISO/IEC-27001 10.1145/123", "iso iec 10.1145/123 ISO/IEC-27001", ["10.1145/123", "ISO/IEC-27001"]),
        ("ｎｕｍｐｙ ３．１４", "numpy 3.14", ["numpy", "3.14"]),
        ("שלום עולם", "\u200fאמר שלום", ["שלום"]),
        ("😀 array", "😀😀 array 😀", ["array"]),
        ("서울", "서울 서울은", ["서울"]),
        ("", "numpy arrays", []),
        ("numpy", "", []),
        ("!?", "numpy !?", []),
        ("zyzzyva", "other Zyzzyva", ["Zyzzyva"]),
    ],
)
def test_words_are_selected_whole_and_alone(tokenizer, query, document, expected):
    assert words(tokenizer, query, document) == expected


def test_all_tokens_of_a_word_are_selected_and_none_of_its_neighbours(tokenizer):
    query, document = "rtx-4090 arrays", "array(rtx-4090)array"
    encoding = encoded(tokenizer, query, document)
    chosen = TermMatcher(tokenizer, "english").positions(encoding, query, document)
    # every letter and digit of the document belongs to a matching word; the brackets to none
    for place, (part, (start, end)) in enumerate(zip(encoding.sequence_ids, encoding.offsets, strict=True)):
        expected = part == 1 and any(character.isalnum() or character == "-" for character in document[start:end])
        assert (place in chosen) == expected, encoding.tokens[place]


def test_combining_characters_change_no_place(tokenizer):
    # the accent may be no part of any token, and the forms differ in length from what is written
    query, document = "caf\u00e9 ﬁle", "😀 cafe\u0301 😀 file"
    matches = TermMatcher(tokenizer, "english").matches(encoded(tokenizer, query, document), query, document)
    assert [(document[m.start : m.end], query[m.query_start : m.query_end]) for m in matches] == [
        ("cafe\u0301", "caf\u00e9"), ("file", "ﬁle"),
    ]  # fmt: skip
    assert [word[:4] for word in words(tokenizer, query, document)] == ["cafe", "file"]


def test_a_document_that_repeats_the_query_is_selected_each_time(tokenizer):
    assert words(tokenizer, "numpy arrays", "numpy arrays numpy arrays") == ["numpy", "arrays"] * 2


def test_stems_match_in_the_language_given_alone(tokenizer):
    query, document = "running arrays", "run array running"
    assert words(tokenizer, query, document, "none") == ["running"]
    assert words(tokenizer, query, document, "english") == ["run", "array", "running"]
    assert words(tokenizer, "서울은", "서울에서 서울", "korean_particles") == ["서울에서", "서울"]


def test_scripts_without_spaces_match_by_token(tokenizer):
    # whatever the tokenizer makes of the four characters, it makes the same on both sides
    assert "".join(words(tokenizer, "人工智能", "人工智能", "none")) == "人工智能"
    assert words(tokenizer, "人", "大小 多少", "none") == []
    # a character that is several tokens, one for each byte, is one match
    encoding = encoded(tokenizer, "冬瓜", "冬瓜")
    spans = [match[:2] for match in TermMatcher(tokenizer, "none").matches(encoding, "冬瓜", "冬瓜")]
    assert spans and len(spans) == len(set(spans))


def test_what_is_cut_off_counts_on_neither_side(tokenizer):
    document = "shoes " * 40 + "numpy"
    whole, cut = "numpy", {"truncation": "only_second", "max_length": 30}
    assert words(tokenizer, whole, document) == ["numpy"]
    assert words(tokenizer, whole, document, **cut) == []
    query = "shoes " * 40 + "numpy"
    assert words(tokenizer, query, "a numpy", truncation="only_first", max_length=30) == []
    assert words(tokenizer, query, "a numpy") == ["numpy"]


def test_the_same_query_cut_in_two_ways_is_not_confused(tokenizer):
    matcher, query = TermMatcher(tokenizer, "english"), "shoes " * 40 + "numpy"
    found = [
        len(matcher.matches(encoded(tokenizer, query, "a numpy", **options), query, "a numpy"))
        for options in (
            {"truncation": "only_first", "max_length": 30},
            {},
            {"truncation": "only_first", "max_length": 30},
        )
    ]
    assert found == [0, 1, 0]


def test_a_word_that_is_cut_within_is_selected_as_far_as_it_is_read(tokenizer):
    query, document = "4090-1234-5678-9012", "4090-1234-5678-9012"
    whole = encoded(tokenizer, query, document)
    length = len(whole.ids) - 3
    assert selected(tokenizer, query, document, truncation="only_second", max_length=length)[0][0] == 0
    end = selected(tokenizer, query, document, truncation="only_second", max_length=length)[-1][1]
    assert 0 < end < len(document)


def test_padding_changes_nothing_on_either_side(tokenizer):
    query, document = "numpy arrays", "fast numpy"
    matcher = TermMatcher(tokenizer, "english")
    bare = encoded(tokenizer, query, document)
    right = encoded(tokenizer, query, document, padding="max_length", max_length=60)
    left = encoded(tokenizer, query, document, padding="max_length", max_length=60, padding_side="left")
    expected = matcher.positions(bare, query, document)
    assert matcher.positions(right, query, document) == expected
    assert matcher.positions(left, query, document) == [place + 60 - len(bare.ids) for place in expected]


def test_special_tokens_written_in_the_texts_are_never_selected(tokenizer):
    assert words(tokenizer, "[SEP] sep", "[SEP] sep") == ["sep"]
    assert words(tokenizer, "[SEP]", "sep [SEP]") == []
    assert words(tokenizer, "numpy [SEP] arrays", "numpy [SEP] x [CLS] array") == ["numpy", "array"]


def test_reasons_are_same_id_then_word_then_stem(tokenizer):
    query, document = "Running ARRAYS", "running x Running runs"
    matches = TermMatcher(tokenizer, "english").matches(encoded(tokenizer, query, document), query, document)
    found = [(document[m.start : m.end], m.reason, query[m.query_start : m.query_end]) for m in matches]
    assert [word for word, _, _ in found] == ["running", "Running", "runs"]
    assert found[2] == ("runs", "stem", "Running")
    assert {reason for _, reason, _ in found[:2]} <= {"same id", "word"}
    assert all(source == "Running" for _, _, source in found)


def test_accents_that_the_tokenizer_drops_match_by_id():
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=wordpiece(), unk_token="[UNK]")
    matcher = TermMatcher(tokenizer, "none")
    query, document = "naive", "so naïve 人 😀"
    (match,) = matcher.matches(encoded(tokenizer, query, document), query, document)
    assert (document[match.start : match.end], match.reason) == ("naïve", "same id")
    # one match, though the token that the word begins with comes twice in it
    query, document = "cafe1-cafe1", "café1-café1"
    (match,) = matcher.matches(encoded(tokenizer, query, document), query, document)
    assert (match.start, match.end, match.reason) == (0, len(document), "same id")
    # the unknown token stands for all of these
    assert matcher.matches(encoded(tokenizer, "Ωμέγα", "Ψ"), "Ωμέγα", "Ψ") == []


def test_a_tokenizer_without_offsets_is_refused():
    class Slow:
        is_fast, name_or_path = False, "old/model"

    with pytest.raises(StudentError, match="old/model: term control needs a fast tokenizer"):
        TermMatcher(Slow(), "english")


@pytest.mark.embedded
def test_pieces_of_a_word_are_selected_together(embedded_encoder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(embedded_encoder)
    query, document = "What is NumPy?", "numpy arrays: what is fast"
    encoding = tokenizer(query, document).encodings[0]
    chosen = TermMatcher(tokenizer, "english").positions(encoding, query, document)
    assert [encoding.tokens[place] for place in chosen] == ["nu", "##mp", "##y"]
