"""Trains a student from a model reference on label lists."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from accelerate import PartialState
from datasets import Dataset

from distill.collections.collection import Collection, Qrels, Run
from distill.errors import ModelError
from distill.models import ModelReference, save_first_layers
from distill.progress import Advance
from distill.recipe.students import DecoderSection, EncoderSection
from students import StudentError
from students.decoder import DecoderSettings, train_decoder
from students.dev import DevList
from students.encoder import EncoderSettings, train_encoder
from students.model_card import UNTOLD, Origin
from students.training import Progress, TrainingReport

_NOT_OF_TRAINING = {"start", "warm_start"}


def dev_lists(collection: Collection, run: Run, qrels: Qrels) -> list[DevList]:
    """The run's candidates with their judgments, in the form that training measures itself on."""
    return [
        DevList(
            query_id=query_id,
            query=collection.query(query_id),
            doc_ids=list(candidates),
            docs=[collection.text(doc_id) for doc_id in candidates],
            relevance=qrels.get(query_id, {}),
        )
        for query_id, candidates in run.items()
    ]


def train_student(
    section: EncoderSection | DecoderSection,
    lists: Dataset,
    dev: list[DevList],
    out: Path,
    on_progress: Advance,
    origin: Origin = UNTOLD,
) -> TrainingReport:
    """Train the student that the section describes and save it as a plain folder at ``out``.

    Args:
        section: start model and settings.
        lists: label lists as students read them.
        dev: held-out lists.
        out: the student's folder; must not exist.
        on_progress: called with the steps done and all of them.
        origin: what the model card says of data, teacher and start model.

    Raises:
        ModelError: the start model cannot be found, or is a GGUF file and the student an encoder.
        StudentError: the start model cannot be loaded or does not fit the settings, or a list is malformed.
    """

    def report(step: int, steps: int, _: object) -> None:
        on_progress(step, steps)

    settings = section.model_dump(exclude=_NOT_OF_TRAINING)
    if isinstance(section, EncoderSection):
        reference = ModelReference.parse(section.start)
        if reference.gguf_file is not None:
            raise ModelError(f"model {section.start!r}: a GGUF file holds no encoder; a folder or a hub id is accepted")
        return train_encoder(reference.fetched(), lists, dev, EncoderSettings(**settings), out, report, origin)
    return _train_decoder(section, lists, dev, out, report, origin)


def _train_decoder(
    section: DecoderSection, lists: Dataset, dev: list[DevList], out: Path, report: Progress, origin: Origin
) -> TrainingReport:
    settings = DecoderSettings(**section.model_dump(exclude=_NOT_OF_TRAINING))
    reference = ModelReference.parse(section.start)
    if reference.gguf_file is None:
        return train_decoder(reference.fetched(), lists, dev, settings, out, report, origin)
    # peft and the trainer want plain weights: unpack the file once, only as many layers as are kept
    plain = out.with_name(f".{out.name}.start")
    # the training asks for the same state, which is made once
    state = PartialState(cpu=not torch.accelerator.is_available())
    try:
        with state.main_process_first():
            if state.is_main_process:
                save_first_layers(reference, section.layers, plain)
        return train_decoder(str(plain), lists, dev, settings, out, report, origin)
    except StudentError as error:
        # the folder is ours and goes: what the user knows is the file
        raise StudentError(str(error).replace(str(plain), section.start)) from error
    finally:
        if state.is_main_process:
            shutil.rmtree(plain, ignore_errors=True)
