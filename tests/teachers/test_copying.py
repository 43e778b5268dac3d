"""What is copied, by hand and against eager maps; whole detections are tested in `test_hand_made`."""

import copy

import pytest
import torch

from teachers.attention import PeakRecorder, use_recorded_attention
from teachers.copying import CopySettings, CopyTrial, copied_share, copy_heads, copy_scores, copy_trial, needle_recall
from teachers.errors import TeacherError
from teachers.heads import Head
from teachers.needles import NeedleBuilder, NeedlePrompt, NeedleSettings
from tests.teachers.conftest import CONFIGS, build

FAMILIES = sorted(CONFIGS)


def fresh(family):
    return build(copy.deepcopy(CONFIGS[family]))


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_peaks_equal_those_of_the_eager_maps(family):
    model = fresh(family)
    ids = torch.randint(3, 200, (1, 60), generator=torch.Generator().manual_seed(1))
    model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = torch.stack(model(input_ids=ids, output_attentions=True).attentions)[:, 0]
        use_recorded_attention(model)
        recorder = PeakRecorder((41, 58))
        model.get_decoder()(input_ids=ids, attention_recorder=recorder)
    rows = maps[:, :, 41:58]
    # two keys may be equal but for rounding: what was found must be as high as what is highest
    found = rows.gather(3, recorder.stacked()[..., None])[..., 0]
    torch.testing.assert_close(found, rows.max(3).values, rtol=0, atol=1e-6)
    assert float((recorder.stacked() == rows.argmax(3)).float().mean()) > 0.99


def test_copied_tokens_are_counted_by_hand():
    # the needle 7 8 7 9 stands at 3 to 6; the answer is 7 5 8 7
    prompt = NeedlePrompt([8, 7, 5, 7, 8, 7, 9, 5], (0, 7), (3, 7), [7, 8, 7, 9], 0.75)
    peaks = torch.tensor([
        [
            [3, 2, 4, 5],  # 7, then 5 outside the needle, 8, the other 7: three of four tokens
            [5, 3, 4, 5],  # the same 7 twice, 7 where 5 was written, 8: two of four
            [1, 2, 0, 1],  # the right tokens at places outside the needle
            [4, 6, 3, 6],  # places of the needle that hold other tokens
        ]
    ])  # fmt: skip
    assert copied_share(peaks, [7, 5, 8, 7], prompt).tolist() == [[0.75, 0.5, 0.0, 0.0]]


def test_recall_counts_each_token_as_often_as_both_hold_it():
    assert needle_recall([7, 8, 7, 9], [5, 7, 8, 8]) == 0.5
    assert needle_recall([7, 8, 7, 9], [9, 7, 7, 8, 1]) == 1


def test_scores_are_means_over_the_trials_that_count():
    def trial(first, second, counts):
        return CopyTrial(torch.tensor([[first, second]]), [], 0.75 if counts else 0.25, counts)

    trials = [trial(1.0, 0.0, True), trial(0.5, 0.5, True), trial(0.0, 1.0, False)]
    scores = copy_scores(trials)
    assert scores.tolist() == [[0.75, 0.25]]
    assert copy_heads(scores, 1) == [Head(0, 0)]
    with pytest.raises(TeacherError, match=r"in none of 1 trials .*best recall 0.25.*teacher_forced"):
        copy_scores(trials[2:])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("forced", [False, True])
def test_a_trial_is_what_eager_maps_over_prompt_and_answer_show(tokenizer, family, forced):
    model = fresh(family)
    haystack = [" ".join(f"w{3 * number + word}" for word in range(3)) for number in range(30)]
    prompt = NeedleBuilder(tokenizer, NeedleSettings()).build("w150", "w100 w101 w102", haystack, 30, 0.6)
    trial = copy_trial(model, prompt, CopySettings(teacher_forced=forced, extra_tokens=2))
    answer = trial.answer
    model.set_attn_implementation("eager")
    with torch.no_grad():
        whole = model(input_ids=torch.tensor([prompt.ids + answer]), output_attentions=True)
    steps = range(len(prompt.ids) - 1, len(prompt.ids) + len(answer) - 1)
    if forced:
        assert answer == prompt.answer
    else:
        assert answer == [int(whole.logits[0, step].argmax()) for step in steps]
        assert len(answer) == 5 or answer[-1] == 2
    peaks = torch.stack(whole.attentions)[:, 0][:, :, steps].argmax(-1)
    assert torch.equal(trial.copied, copied_share(peaks, answer, prompt))
