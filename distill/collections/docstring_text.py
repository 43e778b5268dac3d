"""A docstring turned into a known-item query, its first sentence, and the document to be found, the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass

MIN_QUERY_WORDS, MAX_QUERY_WORDS = 4, 25
MIN_DOCUMENT_WORDS = 20
# What a document says where it named its own object, so that it cannot be found by that name.
MASK = "this"

_OWN_NAME = "\x00"
_SENTENCE_END = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!\betc)(?<!\bvs)(?<!\bcf)(?<!\bresp)[.!?](?=\s|$)")
_NO_QUERY = re.compile(
    r"(args?|arguments|parameters?|params|attributes|returns?|yields|raises|notes?|examples?|usage|inputs?|outputs?)\s*:"
    r"|(see|todo|deprecated|alias|same as|refer|warning|internal|like)\b",
    re.IGNORECASE,
)
# A sentence that only leads up to a formula or a list.
_UNFINISHED = re.compile(r"(:|,|\b(as|by|is|are|with|of|to|the|that|where|follows))$")
_CODE = re.compile(r"->|>>>|::|\\|\w\(\S*[,=)]|==|[{}|]|\w=\w|\S{31}")

_EXAMPLES = (
    re.compile(r"^[ \t]*```.*?^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL),
    re.compile(r"^[ \t]*>>>.*(?:\n[ \t]*\S.*)*", re.MULTILINE),
    # numpydoc sections that hold code or mere names, up to the next heading
    re.compile(r"^(?:Examples?|See [Aa]lso|References)\n[-=~]{3,}\n(?:(?!^\S.*\n[-=~]{3,}$).*\n?)*", re.MULTILINE),
    re.compile(r"^(?:Examples?|See [Aa]lso|References):[ \t]*\n(?:[ \t]+\S.*\n?|[ \t]*\n)*", re.MULTILINE),
    # A paragraph that ends in two colons introduces an indented block of code.
    re.compile(r"(?<=::)\n\s*\n(?:[ \t]+\S.*\n?|[ \t]*\n)+"),
)
_MARKUP = (
    (re.compile(r"^[ \t]*\.\. .*$", re.MULTILINE), " "),  # directives
    (re.compile(r"^[ \t]*([-=~^*\"#+`])\1{2,}[ \t]*$", re.MULTILINE), " "),  # underlines of headings
    (re.compile(r"^[ \t]*(?:#+|[*-])[ \t]+", re.MULTILINE), " "),  # headings and bullets
    (re.compile(r":(?:param|arg|type|rtype|returns?|raises?|keyword|ivar|var)\b[ \t]*([^:\n]*):"), r"\1:"),
    (re.compile(r"!?\[([^\]\n]+)\]\([^)\s]+\)"), r"\1"),
    (re.compile(r"\[`[~.]?([^`\]]+)`\]"), r"\1"),
    (re.compile(r"(?<=`)\\[ ]?"), ""),
    (re.compile(r":[a-z]+(?::[a-z]+)?:`[~!]?(?:[^`<]*<)?([^`>]+)>?`"), r"\1"),
    (re.compile(r"`([^`<]+?)\s*<[^`>]+>`__?"), r"\1"),
    (re.compile(r"</?[A-Za-z][^<>\n]*>|\[\[autodoc\]\]"), " "),
    (re.compile(r"https?://\S+"), " "),
    (re.compile(r"\[\w+\]_"), " "),
    (re.compile(r"``?([^`]*)``?_?"), r"\1"),
    (re.compile(r"(?<!\w)(\*\*?)(\w[^*\n]*)\1(?!\w)"), r"\2"),
    (re.compile(r"::(?=\s|$)"), ":"),
)
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|(?<!\{)\{\w*\}(?!\})")


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A query and the text of the one document that it was written about."""

    query: str
    document: str
    shares_name: bool


def known_item(name: str, docstring: str, max_words: int = 100) -> KnownItem | None:
    """Split an object's docstring; None where it makes no fair query, or too short a document.

    The query is a sentence, neither a list of arguments nor code, and does not name the object outright. In the
    document the object's own name is masked; examples in code, markup and ``.format`` placeholders are taken out.

    Args:
        name: the qualified name, of which the last part is the object's own.
        docstring: with indentation removed.
        max_words: what the document is cut to.

    Returns:
        The item; ``shares_name`` tells that the query has all words of the own name.
    """
    own = name.rpartition(".")[2]
    paragraph, _, rest = _without_examples(docstring).partition("\n\n")
    opening = _plain(_masked(own, paragraph))
    end = _SENTENCE_END.search(opening)
    query, remainder = (opening[: end.start()], opening[end.end() :]) if end else (opening, "")
    if not _is_query(query):
        return None
    words = f"{remainder} {_plain(_PLACEHOLDER.sub(' ', _masked(own, rest)))}".replace(_OWN_NAME, MASK).split()
    if len(words) < MIN_DOCUMENT_WORDS:
        return None
    return KnownItem(query, " ".join(words[:max_words]), shares_name=_name_words(own) <= _words(query))


def _masked(own: str, text: str) -> str:
    """The text with a mark for the own name: everywhere, or only where it stands as code if it is a plain word."""
    if own not in text:
        return text
    dotted = r"(?:\b\w+\.)"
    if own.islower() and own.isalpha():
        return re.sub(rf"{dotted}+{own}\b|\b{own}(?=\()|(?<=`){own}(?=`)", _OWN_NAME, text)
    return re.sub(rf"{dotted}*\b{own}\b", _OWN_NAME, text)


def _without_examples(text: str) -> str:
    for pattern in _EXAMPLES:
        text = pattern.sub("\n", text)
    return text


def _plain(text: str) -> str:
    """The text without markup, on one line."""
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def _is_query(text: str) -> bool:
    if not MIN_QUERY_WORDS <= len(text.split()) <= MAX_QUERY_WORDS or not text[0].isalpha():
        return False
    return not (_OWN_NAME in text or _NO_QUERY.match(text) or _UNFINISHED.search(text) or _CODE.search(text))


def _name_words(name: str) -> set[str]:
    """The lower-case words of ``snake_case`` or ``CamelCase``."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)}


def _words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Za-z]+|\d+", text)}
