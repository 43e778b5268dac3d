"""Chat frames against what a template renders."""

from datetime import datetime

import pytest

from teachers.chat import ChatFrame
from teachers.errors import TeacherError


def _with(tokenizer, template):
    copy = type(tokenizer)(tokenizer_object=tokenizer._tokenizer, unk_token="<unk>", bos_token="<s>")
    copy.chat_template = template
    return copy


def test_a_template_that_tells_the_day_reads_the_same_tomorrow(tokenizer):
    dated = _with(tokenizer, "{{ strftime_now('%d %b %Y') }} {% for m in messages %}{{ m['content'] }}{% endfor %}")
    assert ChatFrame(dated).before == "26 Jul 2024 "
    # the template's own clock, were it asked
    turn = [{"role": "user", "content": "x"}]
    assert dated.apply_chat_template(turn, tokenize=False) == f"{datetime.now():%d %b %Y} x"


def test_options_reach_the_template(tokenizer):
    thinking = _with(tokenizer, "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if not think %}w9{% endif %}")
    assert ChatFrame(thinking, think=False).after == "w9"
    assert ChatFrame(thinking, think=True).after == ""


@pytest.mark.parametrize("template", ["w1", "{% for m in messages %}{{ m['content'] }}{{ m['content'] }}{% endfor %}"])
def test_a_template_that_hides_or_repeats_the_turn_is_refused(tokenizer, template):
    with pytest.raises(TeacherError, match="exactly once"):
        ChatFrame(_with(tokenizer, template))
