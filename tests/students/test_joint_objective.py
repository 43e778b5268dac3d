import pytest
import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder
from transformers import AutoModelForCausalLM

from students.dataset import ListBatch
from students.decoder import TRAINER_DEFAULTS, DecoderSettings, _build, train_decoder
from students.joint_objective import JointObjective, mean_of_lists, relevance
from students.losses import ranknet
from students.objectives import ListObjective
from students.scoring import Reranker
from students.training import TrainingRequest, UntrainedStudent, train_student
from students.vocabulary_head import reads_ahead

QUERIES = ["the w1", "w2 w3"]
DOCUMENTS = [["w1 w9", "w4 w1 w5", "w8"], ["w2", "w7 w8 w30 w31 w32", "w3 w2"]]
GROUPS = [["ranked", "ranked", "missing"], ["random", "missing", "ranked"]]
# the first reason holds Llama's and Qwen's padding token as text, the last is in other words than its document
EVIDENCE = [["w1 w9 </s> <|endoftext|> w40", "w4", ""], ["", "w7", "w50 w51"]]
BATCH = ListBatch(QUERIES, DOCUMENTS, GROUPS, EVIDENCE, [None, None])
LABELS = [torch.tensor([2.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 2.0])]


@pytest.fixture(scope="module")
def starts(tiny_decoder):
    """One folder per family, made when it is first asked for."""
    made = {}
    return lambda family: made.setdefault(family, tiny_decoder(family))


def objective(start: str, label_weight: float = 1.0, reason_weight: float = 1.0, **settings) -> JointObjective:
    torch.manual_seed(1)
    weights = {"label_weight": label_weight, "reason_weight": reason_weight, "max_tokens": 60, "loss": "ranknet"}
    joint = _build(start, DecoderSettings(**weights, **settings)).objective
    joint.model.eval()
    return joint


def test_relevant_are_the_first_ranked_documents_whatever_their_order():
    labels, groups = [1.0, 5.0, 9.0, 0.0, 7.0], ["missing", "ranked", "ranked", "random", "ranked"]
    assert relevance(labels, groups, 1) == [False, None, True, False, None]
    assert relevance(labels, groups, 2) == [False, None, True, False, True]
    # equal labels stand or fall together
    assert relevance([3.0, 3.0, 2.0], ["ranked"] * 3, 1) == [True, True, None]
    assert relevance([3.0, 2.0], None, 1) == [None, None]


def test_means_are_taken_per_list():
    # lists of 3, 1 and 2 pairs; the first has 4 values that sum to 10, the second none, the third one of 6
    sums = torch.tensor([7.0, 3.0, 0.0, 0.0, 6.0, 0.0])
    counts, sizes = [3, 1, 0, 0, 1, 0], [3, 1, 2]
    assert mean_of_lists(sums, counts, sizes, [1, 1, 1]).item() == pytest.approx((10 / 4 + 6) / 2)
    assert mean_of_lists(sums, counts, sizes, [0.5, 9, 2]).item() == pytest.approx((0.5 * 10 / 4 + 2 * 6) / 2)
    assert mean_of_lists(sums * 0, [0] * 6, sizes, [1, 1, 1]).item() == 0


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma2"])
def test_label_and_reason_losses_are_the_causal_model_s_own(starts, family):
    """Heads tied and not, and capped logits; by hand: document 0 of each list has answer and label, 3 more say no."""
    joint, causal = objective(starts(family)), AutoModelForCausalLM.from_pretrained(starts(family)).eval()
    tokenizer = joint.model.tokenizer

    def loss(query: str, document: str, word: str, reason: str, asked: str) -> torch.Tensor:
        prompt = tokenizer(query, document)["input_ids"]
        label = tokenizer.encode(f"\nrelevant:{word}", add_special_tokens=False)
        label = label[len(tokenizer.encode("\nrelevant:", add_special_tokens=False)) :]
        answer = tokenizer.encode(f" {reason}", add_special_tokens=False) if reason else []
        ids = [*prompt, *label, *answer]
        kept = range(len(prompt), len(prompt) + 1) if asked == "label" else range(len(prompt) + len(label), len(ids))
        targets = [token if place in kept else -100 for place, token in enumerate(ids)]
        return causal(torch.tensor([ids]), labels=torch.tensor([targets])).loss

    first, second = EVIDENCE[0][0], EVIDENCE[1][2]
    labels = [
        [loss("the w1", "w1 w9", " yes", first, "label"), loss("the w1", "w8", " no", "", "label")],
        [
            loss("w2 w3", "w2", " no", "", "label"),
            loss("w2 w3", DOCUMENTS[1][1], " no", "", "label"),
            loss("w2 w3", "w3 w2", " yes", second, "label"),
        ],
    ]
    reasons = [loss("the w1", "w1 w9", " yes", first, "reason"), loss("w2 w3", "w3 w2", " yes", second, "reason")]
    terms = joint(list(BATCH), LABELS)
    torch.testing.assert_close(terms["label"], torch.stack([torch.stack(row).mean() for row in labels]).mean())
    torch.testing.assert_close(terms["reason"], torch.stack(reasons).mean())


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma3_text"])
def test_the_ranking_state_is_that_of_the_prompt_alone(starts, family):
    joint = objective(starts(family))
    examples = joint.examples(BATCH, LABELS)
    assert [bool(example.answer) for example in examples] == [True, False, False, False, False, True]
    scores = joint._in_passes(examples)[0]
    alone = Reranker(joint.model.transformers_model, joint.model.tokenizer)
    expected = alone.score_many(list(zip(QUERIES, DOCUMENTS, strict=True)))
    torch.testing.assert_close(scores, torch.tensor([score for row in expected for score in row]))
    torch.testing.assert_close(
        joint(list(BATCH), LABELS)["ranking"], ListObjective(joint.model, ranknet)(list(BATCH), LABELS)
    )


def test_many_pairs_keep_their_places(starts):
    joint = objective(starts("llama"))
    documents = [" ".join(f"w{i}" for i in range(number % 7 + 1)) for number in range(40)]
    groups = ["ranked" if number % 3 else "missing" for number in range(40)]
    batch = ListBatch(["w1"], [documents], [groups], [[f"w{number}" for number in range(40)]], [None])
    examples = joint.examples(batch, [torch.arange(40.0) // 10])
    rows = torch.cat([joint._pass([example]) for example in examples], dim=1)
    torch.testing.assert_close(joint._in_passes(examples), rows)
    assert (rows[2] > 0).sum() == 6


@pytest.mark.parametrize("side", ["right", "left"])
def test_of_a_long_pair_the_reasons_are_learned_that_are_read(starts, side, monkeypatch):
    """The document's first words are w1 w2 w3, its last ones w7 w8 w9; of words between there is nothing to be read."""
    joint = objective(starts("qwen2"))
    tokenizer = joint.model.tokenizer
    tokenizer.truncation_side = side
    document = "w1 w2 w3 " + "w20 w21 " * 150 + "w5 w6 " + "w20 w21 " * 150 + "w7 w8 w9"
    evidence = ["w1 w2 w3", "w5 w6", "w7 w8 w9", "w50 w51"]
    batch = ListBatch(["w2 w3 " * 200], [[document] * 4], [["ranked"] * 4], [evidence], [None])
    made, call = [], type(tokenizer).__call__
    with monkeypatch.context() as patch:
        patch.setattr(
            type(tokenizer), "__call__", lambda *args, **options: made.append(call(*args, **options)) or made[-1]
        )
        examples = joint.examples(batch, [torch.ones(4)])
    # of the whole texts there are hundreds of windows
    assert max(len(encoding.overflowing) for encoded in made for encoding in encoded.encodings) < 60
    assert [bool(example.answer) for example in examples] == [side == "right", False, side == "left", True]
    whole = tokenizer([batch.queries[0]], [document], truncation=True)
    assert [example.prompt for example in examples] == whole["input_ids"] * 4


@pytest.mark.parametrize("term", ["ranking", "label", "reason"])
def test_each_term_reaches_every_adapter_and_only_ranking_the_head(starts, term):
    joint = objective(starts("qwen2"), lora={"target_modules": ["q_proj", "down_proj"]})
    joint(list(BATCH), LABELS)[term].backward()
    trained = {name: parameter for name, parameter in joint.named_parameters() if parameter.requires_grad}
    # A's gradient is zero before the first step, as B is
    adapters = [parameter for name, parameter in trained.items() if "lora_B" in name]
    assert len(adapters) == 4 and all(parameter.grad.abs().sum() > 0 for parameter in adapters)
    (head,) = [parameter for name, parameter in trained.items() if ".score." in name]
    assert (head.grad is not None and head.grad.abs().sum() > 0) == (term == "ranking")
    assert not any(parameter.requires_grad for parameter in joint.vocabulary.parameters())


def test_weights_multiply_their_terms_and_zero_leaves_one_out(starts):
    whole = objective(starts("llama"))(list(BATCH), LABELS)
    label, reason = objective(starts("llama"), 0.5, 0.0), objective(starts("llama"), 0.0, 0.25)
    halved, quarter = label(list(BATCH), LABELS), reason(list(BATCH), LABELS)
    assert set(halved) == {"ranking", "label"} and set(quarter) == {"ranking", "reason"}
    torch.testing.assert_close(halved["label"], whole["label"] / 2)
    torch.testing.assert_close(quarter["reason"], whole["reason"] / 4)
    assert not any(example.answer for example in label.examples(BATCH, LABELS))


def test_under_autocast_the_vocabulary_s_logits_are_as_narrow_as_the_scores(starts):
    joint, kinds = objective(starts("llama")), []
    joint.vocabulary.register_forward_hook(lambda module, args, logits: kinds.append(logits.dtype))
    exact = joint(list(BATCH), LABELS)
    # as the trainer does: the model alone runs under autocast, the objective does not
    model = joint.model
    model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)
    narrow = joint(list(BATCH), LABELS)
    assert kinds == [torch.float32, torch.bfloat16]
    for name, value in narrow.items():
        assert value.dtype == torch.float32 and value.item() == pytest.approx(exact[name].item(), rel=0.03)


def test_a_reason_is_cut_and_one_that_the_prompt_does_not_hold_is_left_out(starts):
    long = " ".join(f"w{i}" for i in range(10, 90))
    batch = ListBatch(["w1"], [[long, "w2"]], [["ranked", "missing"]], [[long, ""]], [None])
    labels = [torch.tensor([1.0, 0.0])]
    assert not objective(starts("llama")).examples(batch, labels)[0].reason
    near = batch._replace(evidence=[[long[:20], ""]])
    example = objective(starts("llama"), max_reason_tokens=4).examples(near, labels)[0]
    assert len(example.reason) == 4 and len(example.prompt) == 60


def test_a_batch_in_which_nothing_is_asked_has_zero_terms_and_gradients(starts):
    joint = objective(starts("llama"))
    batch = BATCH._replace(groups=[None, None])
    terms = joint(list(batch), LABELS)
    assert terms["label"].item() == terms["reason"].item() == 0
    torch.stack(list(terms.values())).sum().backward()


def test_a_prompt_is_refused(starts):
    with pytest.raises(ValueError, match="take no prompt, got 'find: '"):
        objective(starts("llama"))(list(BATCH), LABELS, prompt="find: ")


QUICK = {
    "loss": "ranknet",
    "precision": "fp32",
    "max_tokens": 60,
    "trainer": {"num_train_epochs": 2, "logging_steps": 1},
}


def losses(report, name="loss") -> list[float]:
    return [entry[name] for entry in report.history if name in entry]


def test_without_weights_training_is_ranknet_s_step_by_step(starts, joint_lists, tmp_path):
    """Against the objective alone on lists without the columns; and the joint path with the label term all but off."""
    start = starts("llama")

    def ranknet_alone() -> UntrainedStudent:
        student = _build(start, DecoderSettings(**QUICK))
        return UntrainedStudent(ListObjective(student.objective.model, ranknet), student.finished_model)

    plain = joint_lists.select_columns(["query", "docs", "labels"])
    request = TrainingRequest(start, plain, [], DecoderSettings(**QUICK), tmp_path / "alone", None)
    alone = train_student(request, ranknet_alone, TRAINER_DEFAULTS)
    zero = train_decoder(start, joint_lists, [], DecoderSettings(**QUICK), tmp_path / "zero")
    assert losses(zero) == losses(alone) and len(losses(zero)) == 12
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("alone", "zero")]
    assert weights[0] == weights[1]
    settings = DecoderSettings(**QUICK, label_weight=1e-30)
    joint = train_decoder(start, joint_lists, [], settings, tmp_path / "joint")
    assert losses(joint, "ranking") == pytest.approx(losses(zero), abs=1e-4)


def test_joint_training_learns_all_three_and_resumes(starts, joint_lists, tmp_path):
    trainer = {"num_train_epochs": 4, "learning_rate": 5e-3, "logging_steps": 1, "per_device_train_batch_size": 4}
    settings = DecoderSettings(**{**QUICK, "trainer": trainer}, label_weight=0.5, reason_weight=0.5)
    whole = train_decoder(starts("qwen2"), joint_lists, [], settings, tmp_path / "whole")
    for name in ("ranking", "label", "reason"):
        assert losses(whole, name)[-1] < losses(whole, name)[0]

    class Broken(Exception):
        pass

    def break_at_5(step, steps, logs):
        if step == 5:
            raise Broken

    with pytest.raises(Broken):
        train_decoder(starts("qwen2"), joint_lists, [], settings, tmp_path / "broken", break_at_5)
    resumed = train_decoder(starts("qwen2"), joint_lists, [], settings, tmp_path / "broken")
    assert resumed.resumed_from == 3
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert one == two


def test_a_start_without_a_vocabulary_head_is_refused(starts, tmp_path):
    backbone = tmp_path / "backbone"
    AutoModelForCausalLM.from_pretrained(starts("qwen2")).model.save_pretrained(backbone)
    CrossEncoder(str(starts("qwen2"))).tokenizer.save_pretrained(backbone)
    with pytest.raises(ValueError, match="backbone has no vocabulary head, which label_weight and reason_weight need"):
        objective(str(backbone))


def test_a_model_that_reads_ahead_is_refused_for_reasons(tiny_decoder):
    start = tiny_decoder("gemma3_text", use_bidirectional_attention=True)
    with pytest.raises(ValueError, match="attends in both directions"):
        objective(start)
    assert not reads_ahead(objective(tiny_decoder("gemma3_text"), 1.0, 0.0).model.transformers_model.base_model)


def test_a_reason_behind_the_longest_pair_must_have_positions(tiny_decoder, joint_lists, tmp_path):
    start = tiny_decoder("llama", max_position_embeddings=60)
    wide = DecoderSettings(max_tokens=50, reason_weight=0.5, max_reason_tokens=16)
    with pytest.raises(ValueError, match=r"max_tokens \(50\), the label \(\d\) and max_reason_tokens \(16\) are 6\d "):
        train_decoder(start, joint_lists, [], wide, tmp_path / "student")
    assert not (tmp_path / "student").exists()


def test_groups_reach_the_objective_through_the_trainer_s_own_batches(starts, joint_lists, tmp_path):
    """Lists without any positive that has evidence: the reason's term is zero at each step."""
    rows = [row | {"evidence": ["", *row["evidence"][1:]]} for row in joint_lists]
    settings = DecoderSettings(**QUICK, reason_weight=1.0)
    report = train_decoder(starts("llama"), Dataset.from_list(rows), [], settings, tmp_path / "student")
    assert set(losses(report, "reason")) == {0.0}
