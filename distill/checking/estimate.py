"""What a recipe will take: tokens, memory of weights and time, each with the arithmetic that gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distill.checking.models import ModelFacts
from distill.checking.rates import Hardware, Work
from distill.checking.workload import Workload
from distill.recipe.settings import Recipe, TeacherSection
from distill.recipe.students import DecoderSection, EncoderSection
from distill.stages.warm_start import first_section
from students.decoder import TRAINER_DEFAULTS as DECODER_DEFAULTS
from students.encoder import TRAINER_DEFAULTS as ENCODER_DEFAULTS

# a forward pass, and a backward pass of twice its work; with LoRA the weights' half of that falls away
_TRAINED_IN_FULL, _TRAINED_BY_LORA = 3, 2
# weights in fp32, their gradients and AdamW's two means
_BYTES_TRAINED = 16
_METHODS = 6
"""Ways of using a teacher's heads that evaluation times, one after the other."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stage's work.

    Attributes:
        name: of the stage.
        arithmetic: how its tokens come about, in words.
        work: reading or training.
        tokens: through the model; None where the recipe does not limit them.
        parameters: that each token meets; None where the model is not known here.
        passes: as many forward passes as one token costs, the backward pass counted in them.
        workers: that share the work.
    """

    name: str
    arithmetic: str
    work: Work
    tokens: float | None
    parameters: float | None
    passes: int = 1
    workers: int = 1

    def seconds(self, hardware: Hardware) -> float | None:
        """With one processor or card for each worker."""
        if self.tokens is None or self.parameters is None:
            return None
        return hardware.seconds(self.work, self.parameters, self.tokens, self.passes) / self.workers


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one model, in bytes, with its arithmetic."""

    name: str
    arithmetic: str
    bytes: float


def steps(recipe: Recipe, load: Workload, models: Mapping[str, ModelFacts]) -> list[Step]:
    """The stages that run a model, in order."""
    found: list[Step] = []
    if recipe.teacher is not None:
        found += _teacher_steps(recipe, recipe.teacher, load, models.get("teacher.model"))
    for name, section in recipe.students().items():
        facts = models.get(f"{name}.start")
        found += _student_steps(recipe, name, section, load, facts)
    return found


def memory(recipe: Recipe, models: Mapping[str, ModelFacts]) -> list[Memory]:
    """Memory of the weights, activations left out."""
    found = []
    teacher = models.get("teacher.model")
    if recipe.teacher is not None and teacher is not None and teacher.parameters:
        width = 4 if recipe.teacher.dtype == "float32" else 2
        arithmetic = f"{_billions(teacher.parameters)} parameters x {width} bytes"
        note = "" if width == 4 else " in bf16; twice that on processors without it"
        found.append(Memory("teacher", arithmetic + note, teacher.parameters * width))
    for name, section in recipe.students().items():
        facts = models.get(f"{name}.start")
        if facts is None or not facts.parameters or not facts.layer_parameters:
            continue
        kept = facts.parameters - facts.layer_parameters * (1 - _share_of_layers(section, facts))
        if isinstance(section, DecoderSection):
            # adapters are small: the frozen weights in fp32 are what counts
            arithmetic, size = f"{_billions(kept)} parameters x 4 bytes, frozen, and small adapters", kept * 4
        else:
            arithmetic = f"{_billions(kept)} parameters x {_BYTES_TRAINED} bytes (weights, gradients, AdamW's means)"
            size = kept * _BYTES_TRAINED
        found.append(Memory(name, arithmetic, size))
    return found


def _teacher_steps(recipe: Recipe, section: TeacherSection, load: Workload, facts: ModelFacts | None) -> list[Step]:
    parameters = None
    if facts is not None and facts.layer_parameters and facts.layers:
        parameters = facts.layer_parameters * min(1.0, (section.depth or facts.layers) / facts.layers)
    candidates = load.documents(recipe.first_stage.candidates)
    each = load.list_tokens(candidates)
    orders = section.prompt.orders

    def reading(name: str, lists: int | None, orders: int, workers: int = 1) -> Step:
        shown = "lists without a limit" if lists is None else f"{lists:,} lists"
        twice = f" x {orders} orders" if orders > 1 else ""
        shared = f", shared by {workers} judges" if workers > 1 else ""
        prompt = f"{each:,.0f} tokens ({candidates:.0f} documents of {load.words:.0f} words)"
        arithmetic = f"{shown} x {prompt}{twice}{shared}"
        tokens = None if lists is None else lists * each * orders
        return Step(name, arithmetic, "read", tokens, parameters, workers=workers)

    found = []
    if section.taught_by != "nobody":
        found.append(reading("teacher", load.fit, orders))
    judges = recipe.labels.engine.judges if recipe.labels.engine else None
    found.append(reading("labels", load.label, recipe.labels.orders or orders, judges or 1))
    timed = None if load.test is None else load.test + _METHODS * (recipe.evaluation.timed_queries + 1)
    return [*found, reading("evaluation", timed, orders)]


def _student_steps(
    recipe: Recipe, name: str, section: EncoderSection | DecoderSection, load: Workload, facts: ModelFacts | None
) -> list[Step]:
    parameters = None
    if facts is not None and facts.layer_parameters:
        parameters = facts.layer_parameters * _share_of_layers(section, facts)
    each = load.pair_tokens(section.max_tokens)
    passes = _TRAINED_BY_LORA if isinstance(section, DecoderSection) else _TRAINED_IN_FULL

    def training(stage: str, lists: float | None, shown: str, pairs: float) -> Step:
        tokens = None if lists is None else lists * pairs * each
        return Step(stage, f"{shown} x {pairs:.0f} pairs x {each:.0f} tokens", "train", tokens, parameters, passes)

    found = []
    if section.warm_start is not None:
        warm = section.warm_start
        taken = warm.queries if load.warm_start is None else min(warm.queries, load.warm_start)
        # the light ranker's own reading is small beside three or more passes of training
        first = _lists_trained_on(first_section(section), taken)
        found.append(training(f"warm_start/{name}", *first, load.documents(warm.documents) + warm.random))
    # none of them missing: where some are, a shortened list is somewhat longer
    candidates = recipe.first_stage.candidates
    ranked = load.documents(min(candidates, recipe.labels.max_ranked or candidates))
    lists, shown = _lists_trained_on(section, load.label)
    if section.soup > 1:
        lists, shown = None if lists is None else lists * section.soup, f"{section.soup} trainings x {shown}"
    return [*found, training(name, lists, shown, ranked + recipe.labels.random)]


def _lists_trained_on(section: EncoderSection | DecoderSection, labelled: int | None) -> tuple[float | None, str]:
    """Lists that training sees, epochs counted, and how they are counted."""
    defaults = ENCODER_DEFAULTS if isinstance(section, EncoderSection) else DECODER_DEFAULTS
    trainer: Mapping[str, Any] = {**defaults, **section.trainer}
    steps_at_most = trainer.get("max_steps", -1)
    batch = trainer["per_device_train_batch_size"] * trainer.get("gradient_accumulation_steps", 1)
    if steps_at_most > 0:
        return steps_at_most * batch, f"{steps_at_most} steps x {batch} lists"
    epochs = trainer["num_train_epochs"]
    if labelled is None:
        return None, f"lists without a limit x {epochs} epochs"
    return labelled * epochs, f"{labelled:,} lists x {epochs} epoch{'' if epochs == 1 else 's'}"


def _share_of_layers(section: EncoderSection | DecoderSection, facts: ModelFacts) -> float:
    if isinstance(section, DecoderSection) and section.layers is not None and facts.layers:
        return section.layers / facts.layers
    return 1.0


def _billions(parameters: float) -> str:
    return f"{parameters / 1e9:.2f} billion" if parameters >= 1e9 else f"{parameters / 1e6:.1f} million"
