"""How each worker of a label job opens its judge: a fitted teacher, a model that needs no fit, people's judgments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from distill.collections.beir import read_beir
from distill.collections.collection import Collection, Run
from distill.collections.trec import read_run
from distill.recipe.settings import DeviceMap, JudgeSection
from distill.stages.judges import PairKind, generative_judge, pair_judge, with_reasons
from distill.stages.judgments import Judgments
from distill.stages.teacher import Method, open_teacher, read_section
from labeling.judge import Judge

if TYPE_CHECKING:
    from teachers.reasons import Teacher


class Source(Protocol):
    """A `labeling.engines.JudgeSource` that can also open its judge where collection and run are read already."""

    @property
    def orders(self) -> int:
        """Orders in which the judge reads each list."""
        ...

    @property
    def spread(self) -> bool:
        """Whether the judge's model lies on several devices."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """The judge's description; no weights are loaded."""
        ...

    def open(self) -> Judge:
        """The judge, its model loaded."""
        ...

    def open_here(self, collection: Collection, run: Run) -> Judge:
        """The same in the process that has read the collection and the whole first stage."""
        ...


@dataclass(frozen=True, slots=True)
class TeacherSource:
    """Opens a fitted teacher where it works; on several machines the paths must mean the same on each.

    Args:
        folder: of the fitted teacher.
        method: how its heads are used, see `open_teacher`.
        collection: BEIR folder; read only by a teacher that mixes in other opinions.
        run: the whole first stage; likewise.
        says: what it says of a list beside the scores.
        device_map: where the model's layers lie, see `open_teacher`.
        first_order: number of the first order in which it reads each list.
    """

    folder: Path
    method: Method | None
    collection: Path
    run: Path
    says: JudgeSection
    device_map: DeviceMap | Literal["as_fitted"] | None = "as_fitted"
    first_order: int = 0

    @property
    def orders(self) -> int:
        """Orders in which the teacher reads each list."""
        return self.says.orders or read_section(self.folder).prompt.orders

    @property
    def spread(self) -> bool:
        """Whether the model lies on several devices."""
        fitted = self.device_map == "as_fitted"
        return (read_section(self.folder).device_map if fitted else self.device_map) is not None

    def describe(self) -> Mapping[str, Any]:
        """The teacher's description; no weights are loaded."""
        return self._opened(*self._opinions_read(), weights=False).describe()

    def open(self) -> Judge:
        """The teacher, its model loaded."""
        return self._opened(*self._opinions_read(), weights=True)

    def open_here(self, collection: Collection, run: Run) -> Judge:
        """The same in the process that has read the collection and the run."""
        return self._opened(collection, run, weights=True)

    def _opened(self, collection: Collection, run: Run, weights: bool) -> Judge:
        teacher = open_teacher(
            self.folder, self.method, collection, run, weights, self.says, self.device_map, self.first_order
        )
        return _with_reasons(teacher, self.says, weights)

    def _opinions_read(self) -> tuple[Collection, Run]:
        if read_section(self.folder).mix is None:
            return Collection("not read", {}, {}, {}), {}
        return read_beir(self.collection), read_run(self.run)


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Opens a judge that is a model and nothing else.

    Args:
        kind: a causal model that writes the order down, or a cross- or bi-encoder, which sees no lists and so has no
            orders.
        model: as a recipe names models.
        says: what it says of a list beside the scores; evidence it has none.
        max_document_words: words of a document that the causal model reads.
    """

    kind: Literal["generative"] | PairKind
    model: str
    says: JudgeSection
    max_document_words: int

    @property
    def orders(self) -> int:
        """Orders in which the model reads each list."""
        return (self.says.orders or 1) if self.kind == "generative" else 1

    @property
    def spread(self) -> bool:
        """Such a model lies on one device."""
        return False

    def describe(self) -> Mapping[str, Any]:
        """The judge's description; no weights are loaded."""
        return self._opened(weights=False).describe()

    def open(self) -> Judge:
        """The judge, its model loaded."""
        return self._opened(weights=True)

    def open_here(self, collection: Collection, run: Run) -> Judge:
        """The same: this judge knows the texts it is given and no others."""
        return self.open()

    def _opened(self, weights: bool) -> Judge:
        if self.kind != "generative":
            return _with_reasons(pair_judge(self.kind, self.model, weights), self.says, weights)
        from teachers.generative import GenerativeSettings

        settings = GenerativeSettings(max_document_words=self.max_document_words, orders=self.orders)
        return _with_reasons(generative_judge(self.model, settings, weights), self.says, weights)


@dataclass(frozen=True, slots=True)
class JudgmentSource:
    """Opens people's judgments where a worker is; on several machines the path must mean the same on each.

    Args:
        collection: BEIR folder.
        split: whose judgments.
        says: what is said of a list beside the grades; evidence there is none.
    """

    collection: Path
    split: str
    says: JudgeSection

    @property
    def orders(self) -> int:
        """Judgments know no order."""
        return 1

    @property
    def spread(self) -> bool:
        """There is no model, or one on one device that writes reasons."""
        return False

    def describe(self) -> Mapping[str, Any]:
        """The judge's description; no weights are loaded."""
        return self._opened(read_beir(self.collection), weights=False).describe()

    def open(self) -> Judge:
        """The judge, its collection read."""
        return self._opened(read_beir(self.collection), weights=True)

    def open_here(self, collection: Collection, run: Run) -> Judge:
        """The same in the process that has read the collection."""
        return self._opened(collection, weights=True)

    def _opened(self, collection: Collection, weights: bool) -> Judge:
        return _with_reasons(Judgments(collection, self.split), self.says, weights)


def _with_reasons(judge: Teacher, says: JudgeSection, weights: bool) -> Judge:
    from teachers.reasons import ReasonSettings

    if says.reasons is None:
        return judge
    return with_reasons(judge, says.reasons, ReasonSettings(documents=says.reason_documents), weights)
