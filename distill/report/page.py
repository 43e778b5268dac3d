"""Pages that need nothing but themselves: every value in them is data, and no network, style or script from outside."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from distill.collections.files import whole_file

MINUS = "\N{MINUS SIGN}"

# What no font draws or what reorders the text around it: controls but tab and line ends, lone surrogates, embeddings
# and overrides of direction, and code points that are no characters.
_UNSHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def write_page(template: str, style: str, script: str, path: Path, **values: Any) -> None:
    """Render one of this package's templates and write it as UTF-8; same values, same bytes.

    Style and script are taken into the page and allowed by their hash, which allows nothing else. A page that stands
    at ``path`` is replaced, but only once the new one is whole.

    Args:
        template: file name under ``templates``.
        style: likewise.
        script: likewise.
        path: the page.
        values: what the template shows.
    """
    style_text, script_text = _template_text(style), _template_text(script)
    policy = (
        f"default-src 'none'; style-src '{_hash(style_text)}'; script-src '{_hash(script_text)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template(template)
    text = page.render(policy=policy, style=Markup(style_text), script=Markup(script_text), **values)
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def cleaned(text: str) -> str:
    """The text with U+FFFD for each character that cannot be shown or that would disturb what stands beside it."""
    return _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text)


def cut(text: str, length: int = 400) -> str:
    """The text's first whole words within ``length`` characters; an ellipsis tells that more follows."""
    if len(text) <= length:
        return text
    begun = text[:length]
    whole = begun.rsplit(maxsplit=1)[0] if " " in begun[length // 2 :] else begun
    return f"{whole}\N{HORIZONTAL ELLIPSIS}"


def figure(value: float) -> str:
    """A measure's figure with three digits."""
    if math.isnan(value):
        return "not defined"
    return "\N{INFINITY}" if math.isinf(value) else f"{value:.3f}"


def signed(value: float) -> str:
    """A difference with three digits and its sign; what rounds to nothing has none."""
    size = figure(abs(value))
    if size == "0.000" or math.isnan(value):
        return size
    return f"{MINUS if value < 0 else '+'}{size}"


def p_value(value: float) -> str:
    """A probability with four digits, as far as four digits tell anything."""
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def percent(share: float) -> str:
    """A share of one with one digit."""
    return f"{100 * share:.1f} %"


def short(value: float) -> str:
    """A number as an axis shows it."""
    return f"{value:,.6g}".replace("-", MINUS)


def exact(value: float) -> str:
    """A number as a script reads it back, with all its digits."""
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else repr(value)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("distill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cut": cut, "figure": figure, "signed": signed, "p": p_value, "share": percent, "short": short, "exact": exact,
        "place": lambda place: f"{place:.2f}".rstrip("0").rstrip(".") + "%",
    }  # fmt: skip
    return environment


def _finalize(value: Any) -> Any:
    """Each value on its way into a page: texts are cleaned here, so that no template can forget it."""
    return cleaned(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _template_text(name: str) -> str:
    return (resources.files("distill.report") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
