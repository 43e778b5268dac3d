from __future__ import annotations

import io

import pytest
from rich.console import Console
from transformers import AutoTokenizer

from distill.collections.beir import read_beir
from distill.commands.term_displays import show_terms
from students.term_matching import TermMatcher


@pytest.fixture
def shown(distill, encoder_folder):
    """Calls `distill terms` on two texts; returns the lines."""

    def call(*arguments):
        code, out, error = distill("terms", "--model", encoder_folder, *arguments)
        assert (code, error) == (0, "")
        return out.splitlines()

    return call


def test_a_pipe_gets_brackets_and_a_row_for_each_match(shown):
    lines = shown("word1 relevant documents", "Word1 and document: word12 word1 [word1]")
    assert lines[0] == "query     [word1] relevant [documents]"
    assert lines[1] == "document  [Word1] and [document]: word12 [word1] [[word1]]"
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    # the first is unknown to the tokenizer, which knows no capitals
    assert rows == [
        ["Word1", "word", "word1", "[UNK]", "1"],
        ["document", "stem", "documents", "document", "1"],
        ["word1", "same id", "word1", "word1", "2"],
    ]
    # word1, document, word1, word1 of: Word1 and document : word12 word1 [ word1 ]
    assert lines[-1] == "4 of 9 document tokens selected"


def test_texts_come_from_a_collection_by_id(shown, beir_folder):
    lines = shown("--collection", beir_folder, "--query", "q3", "--document", "d3", "--language", "none")
    collection = read_beir(beir_folder)
    asked = collection.queries["q3"].split()
    expected = [f"[{word}]" if word in asked else word for word in collection.text("d3").split()]
    assert lines[1] == f"document  {' '.join(expected)}"


def test_what_the_encoder_does_not_read_is_counted_only(shown):
    # [CLS] word1 [SEP] and [SEP] leave 4 of 8 tokens
    lines = shown("word1", "word1 word2 word3 word4 word5 word1 word1", "--max-tokens", "8")
    assert lines[1] == "document  [word1] word2 word3 word4 ... (18 characters cut off)"
    assert lines[-1] == "1 of 4 document tokens selected"


def test_without_a_match_there_is_no_table(shown):
    assert shown("the word1", "the word2")[-1] == "0 of 2 document tokens selected"
    assert shown("", "word2")[1] == "document  word2"


def test_texts_do_not_act_on_the_terminal(shown):
    lines = shown("[red]word1", "\x1b[31mword1[/bold] \u202e[link=x] \udcff\nword1")
    assert lines[0] == "query     [red][word1]"
    assert lines[1] == "document  \\x1b[31mword1[/bold] \\u202e[link=x] ? [word1]"


def test_a_terminal_gets_a_colour_for_each_reason(encoder_folder):
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder)
    query, document = "word1 documents", "word1 Word1 document word2"
    encoding = tokenizer([query], [document]).encodings[0]
    matches = TermMatcher(tokenizer, "english").matches(encoding, query, document)

    def printed(**options):
        out = io.StringIO()
        show_terms(Console(file=out, force_terminal=True, width=200, **options), encoding, query, document, matches)
        return out.getvalue().splitlines()[1]

    # SGR: bold green 1;32, bold cyan 1;36, bold yellow 1;33
    assert printed(color_system="standard") == (
        "document  \x1b[1;32mword1\x1b[0m \x1b[1;36mWord1\x1b[0m \x1b[1;33mdocument\x1b[0m word2"
    )
    assert printed(no_color=True) == "document  [word1] [Word1] [document] word2"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["one text"], "give two texts, QUERY and DOCUMENT, or ids"),
        (["a", "b", "--query", "q1"], "give two texts"),
        (["a", "b", "--language", "klingon"], "no stemmer for language 'klingon'; accepted are none, korean"),
        (["a", "b", "--model", "./nowhere"], "model './nowhere': no such file or folder"),
    ],
)
def test_bad_input_gets_one_line(distill, encoder_folder, arguments, said):
    options = [] if "--model" in arguments else ["--model", encoder_folder]
    code, _, error = distill("terms", *options, *arguments)
    assert code == 2
    assert said in error and error.count("\n") == 1


def test_ids_must_be_in_the_collection(distill, encoder_folder, beir_folder):
    options = ["--model", encoder_folder, "--collection", beir_folder]
    for arguments, said in [
        (["--query", "q1"], "give two texts"),
        (["--query", "nobody", "--document", "d1"], "has no query 'nobody'"),
        (["--query", "q1", "--document", "nowhere"], "has no document 'nowhere'"),
        (["--query", "q1", "--document", "d1", "and a text"], "give two texts"),
    ]:
        code, _, error = distill("terms", *options, *arguments)
        assert code == 2 and said in error
