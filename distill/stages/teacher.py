"""Fits a teacher on judged queries and opens a fitted one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import ValidationError

from distill.collections.collection import Collection, Qrels, Run
from distill.models import (
    ModelReference,
    causal_model_without_weights,
    load_causal_model,
    load_config,
    load_tokenizer,
    runs_bf16_fast,
)
from distill.progress import Advance
from distill.recipe.settings import DeviceMap, JudgeSection, TeacherSection
from distill.stages.candidates import answerable, texts
from distill.stages.opinions import open_opinions
from teachers.errors import TeacherError
from teachers.prompt import PromptSettings

if TYPE_CHECKING:
    from torch import Tensor

    from teachers.fitting import FitReport, RouteHeadSettings
    from teachers.head_scores import HeadReader
    from teachers.mixture import MixedTeacher, MixtureReport, Opinion
    from teachers.teacher import HeadTeacher

Method = Literal["all_heads", "static_heads", "static_weights", "routehead", "mixture"]
PLAIN = JudgeSection(evidence=False)
METHODS: tuple[Method, ...] = get_args(Method)

_SETTINGS = "teacher.json"
_MIXTURE = "mixture.json"
_STATIC_HEADS = "static_heads.json"
STATIC_WEIGHTS = "static_weights.json"


def open_reader(
    section: TeacherSection, weights: bool = True, first_order: int = 0
) -> tuple[HeadReader, dict[str, str]]:
    """The frozen model ready to be read at the section's depth, and what identifies its weights.

    Args:
        section: the model and how it is read.
        weights: load them; a reader without can only say what it is.
        first_order: see `HeadReader`.

    Raises:
        ModelError: the model cannot be found or loaded.
        TeacherError: its attention cannot be read.
    """
    import torch

    from teachers.head_scores import HeadReader

    reference = ModelReference.parse(section.model)
    name = section.dtype if section.dtype != "auto" else ("bfloat16" if runs_bf16_fast() else "float32")
    dtype, trusted = getattr(torch, name), section.trust_remote_code
    if weights:
        model = load_causal_model(reference, dtype, trusted, device_map=section.device_map)
    else:
        model = causal_model_without_weights(reference, dtype, trusted)
    tokenizer = load_tokenizer(reference, section.trust_remote_code)
    reader = HeadReader(model, tokenizer, section.prompt, section.depth, section.state_layer, first_order)
    return reader, reference.identity


def fit_teacher(
    collection: Collection,
    run: Run,
    qrels: Qrels,
    section: TeacherSection,
    folder: Path,
    on_progress: Advance,
    scores_folder: Path | None = None,
) -> tuple[FitReport, MixtureReport | None]:
    """Fit RouteHead, its baselines and the section's mixture on the run's queries and write them into ``folder``.

    Only lists that hold a relevant document teach, so only they are read. Their head scores are kept; a later fit on
    the same lists finds them.

    Args:
        collection: gives the texts.
        run: candidates of the fitting queries.
        qrels: their judgments; what is not judged counts as not relevant.
        section: the model and how to fit.
        folder: where the teacher is written.
        on_progress: told how many lists are read.
        scores_folder: where head scores are kept; ``folder/scores`` where None.

    Raises:
        TeacherError: too few lists hold a relevant document.
    """
    from teachers.baselines import QRHEAD_FEATURES, best_heads, equal_weights
    from teachers.features import judged_lists
    from teachers.fitting import gains_of, refuse_too_few
    from teachers.routehead import RouteHead
    from teachers.score_store import HeadScoreStore, read_lists

    # opened first: a pre-ranker that is missing is known before hours of reading, not after
    opinions = open_opinions(section.mix, collection, run) if section.mix else {}
    reader, model = open_reader(section)
    store = HeadScoreStore(scores_folder or folder / "scores", model)
    taught = answerable(run, qrels)
    refuse_too_few(len(taught), section.routehead)
    lists = texts(collection, taught)
    scores = list(read_lists(reader, lists, store, on_progress))
    gains = [gains_of(list(candidates), qrels[query_id]) for query_id, candidates in taught.items()]
    settings = section.routehead
    # last to be written and first to go: a fit that is cut off leaves no teacher of two fits
    (folder / _SETTINGS).unlink(missing_ok=True)
    routehead, report, held_out = RouteHead.fit(scores, gains, settings)
    routehead.save(folder, reader, model, report)
    routehead.static_weights().save(folder / STATIC_WEIGHTS)
    masses = judged_lists(scores, gains, QRHEAD_FEATURES)
    equal_weights(best_heads(masses, reader.heads_per_layer, section.static_heads)).save(folder / _STATIC_HEADS)
    mixed = None
    if opinions:
        mixed = _fit_mixture(opinions, lists, gains, held_out, settings, folder)
    _write_settings(section, list(run), folder)
    return report, mixed


def refuse_existing_teacher(folder: Path, advice: str = "give a new folder") -> None:
    """Stop before any work where a teacher stands in the folder.

    Raises:
        TeacherError: one does; the message ends in ``advice``.
    """
    if (folder / _SETTINGS).exists():
        raise TeacherError(f"{folder}: holds a teacher already; {advice}")


def adopt_teacher(heads: str, section: TeacherSection, folder: Path, overwrite: bool = False) -> tuple[str, int]:
    """Write a teacher of given heads into ``folder``: no judged queries are needed.

    Args:
        heads: name of a published set, or a file as `fit_teacher` writes ``static_heads.json``.
        section: the model and how it is read.
        folder: where the teacher is written.
        overwrite: a teacher that stands there is replaced.

    Returns:
        Where the set comes from, and its number of heads.

    Raises:
        TeacherError: ``folder`` holds a teacher, no such set, no readable file, or heads that the model does not have.
        ModelError: the model cannot be found.
    """
    from teachers.baselines import WeightedHeads
    from teachers.published import check_heads, published_heads

    if not overwrite:
        refuse_existing_teacher(folder)
    published = published_heads()
    if heads in published:
        ranker, source = published[heads].ranker(), published[heads].source
    elif Path(heads).is_file():
        ranker, source = WeightedHeads.load(Path(heads)), heads
    else:
        raise TeacherError(f"{heads}: neither a file nor a published head set; published are {', '.join(published)}")
    config = load_config(ModelReference.parse(section.model), section.trust_remote_code).get_text_config()
    check_heads(ranker, config.num_hidden_layers, config.num_attention_heads, section.depth)
    folder.mkdir(parents=True, exist_ok=True)
    ranker.save(folder / _STATIC_HEADS)
    _write_settings(section, [], folder)
    return source, len(ranker.heads)


def _fit_mixture(
    opinions: Mapping[str, Opinion],
    lists: Sequence[tuple[str, list[str]]],
    gains: Sequence[Sequence[float]],
    held_out: Sequence[Tensor],
    settings: RouteHeadSettings,
    folder: Path,
) -> MixtureReport:
    """Learn the mixture on the lists, given their held-out head scores, and write it."""
    import torch

    from teachers.mixture import HEADS, fit_mixture

    scores = {HEADS: list(held_out)}
    for name, opinion in opinions.items():
        scores[name] = [torch.tensor(list(opinion.score_pairs(query, documents))) for query, documents in lists]
    mixture, report = fit_mixture(scores, gains, settings.router.folds, settings.seed)
    mixture.save(folder / _MIXTURE, report)
    return report


def read_section(folder: Path) -> TeacherSection:
    """The settings that the teacher in ``folder`` was fitted with.

    Raises:
        TeacherError: the folder holds no teacher.
    """
    try:
        return TeacherSection.model_validate(_read(folder)["settings"])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        where = f"{folder / _SETTINGS}: settings.{key}"
        raise TeacherError(f"{where}: {first['msg']}; another version wrote it, so fit the teacher again") from None


def fitted_on(folder: Path) -> set[str]:
    """Ids of the queries whose judgments the teacher has seen: it must not label them.

    Raises:
        TeacherError: the folder holds no teacher.
    """
    return set(_read(folder)["fitted_on"])


def open_teacher(
    folder: Path,
    method: Method | None,
    collection: Collection,
    run: Run,
    weights: bool = True,
    says: JudgeSection = PLAIN,
    device_map: DeviceMap | Literal["as_fitted"] | None = "as_fitted",
    first_order: int = 0,
) -> HeadTeacher | MixedTeacher:
    """The fitted teacher of ``folder``, its model loaded.

    Args:
        folder: where the teacher was written.
        method: how its heads are used; None for the last of `METHODS` that the folder holds.
        collection: gives a mixture the texts.
        run: the whole first stage, which gives a mixture its scores.
        weights: load the model's; a teacher without can only describe itself.
        says: whether it names evidence, and how many orders it reads.
        device_map: where the model's layers lie; they need not lie where they lay when it was fitted.
        first_order: see `HeadReader`.

    Raises:
        TeacherError: the folder holds no teacher, one fitted for another model or prompt, or not this method.
    """
    section = read_section(folder)
    if says.orders is not None:
        prompt = PromptSettings(**{**section.prompt.model_dump(), "orders": says.orders})
        section = section.model_copy(update={"prompt": prompt})
    if device_map != "as_fitted":
        section = section.model_copy(update={"device_map": device_map})
    reader, model = open_reader(section, weights, first_order)
    teachers = teachers_of(folder, reader, model, collection, run, says.evidence)
    wanted = method or next(name for name in reversed(METHODS) if name in teachers)
    if wanted not in teachers:
        raise TeacherError(f"{folder}: this teacher has no method {wanted}; it has {', '.join(teachers)}")
    return teachers[wanted]


def teachers_of(
    folder: Path,
    reader: HeadReader,
    model: Mapping[str, str],
    collection: Collection,
    run: Run,
    evidence: bool = False,
) -> dict[str, HeadTeacher | MixedTeacher]:
    """Every method that ``folder`` holds, by name, around one loaded model."""
    from teachers.mixture import MixedTeacher, Mixture

    heads = head_teachers(folder, reader, model, evidence)
    teachers: dict[str, HeadTeacher | MixedTeacher] = {**heads}
    mix = read_section(folder).mix
    if mix is not None:
        mixture = Mixture.load(folder / _MIXTURE)
        teachers["mixture"] = MixedTeacher(heads["routehead"], mixture, open_opinions(mix, collection, run))
    return teachers


def head_teachers(
    folder: Path, reader: HeadReader, model: Mapping[str, str], evidence: bool = False
) -> dict[str, HeadTeacher]:
    """The methods of ``folder`` that read heads alone; one that was adopted has no fitted ones."""
    from teachers.baselines import AllHeads, WeightedHeads
    from teachers.routehead import RouteHead
    from teachers.teacher import HeadTeacher

    rankers: dict[str, Any] = {"all_heads": AllHeads(), "static_heads": WeightedHeads.load(folder / _STATIC_HEADS)}
    if fitted_on(folder):
        rankers["static_weights"] = WeightedHeads.load(folder / STATIC_WEIGHTS)
        rankers["routehead"] = RouteHead.load(folder, reader, model)
    return {method: HeadTeacher(reader, ranker, model, evidence) for method, ranker in rankers.items()}


def _write_settings(section: TeacherSection, fitted: list[str], folder: Path) -> None:
    content = {"settings": section.model_dump(mode="json"), "fitted_on": fitted}
    (folder / _SETTINGS).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _read(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        _ = content["settings"], content["fitted_on"]
    except (OSError, ValueError, KeyError, TypeError):
        raise TeacherError(f"{folder}: no fitted teacher here (no readable {_SETTINGS}); fit one first") from None
    return content
