"""RouteHead as others use it: fitted on judged lists, saved, loaded, and scoring lists through routed heads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from teachers.baselines import WeightedHeads, select_features
from teachers.errors import TeacherError
from teachers.features import FeatureSettings, judged_lists
from teachers.fitting import FitReport, RouteHeadSettings, fit_router
from teachers.head_scores import HeadReader, HeadScores
from teachers.heads import Head, depth_of
from teachers.router import LEARNED, LIMITS, Router

_FORMAT = 1
_DESCRIPTION = "routehead.json"
_TENSORS = "routehead.safetensors"


@dataclass(frozen=True, slots=True)
class RouteHead:
    """A pool of heads and the router that weighs them for each query."""

    heads: tuple[Head, ...]
    router: Router
    features: FeatureSettings

    @classmethod
    def fit(
        cls,
        scores: Sequence[HeadScores],
        gains: Sequence[Sequence[float]],
        settings: RouteHeadSettings,
    ) -> tuple[RouteHead, FitReport, list[Tensor]]:
        """Fit on head scores of all layers and the relevance of each list's documents.

        Args:
            scores: of the fitting queries' lists, read at full depth.
            gains: ``gains[i][j]`` is the relevance of document j of list i, 0 where not relevant.
            settings: of features, search and router.

        Returns:
            The fitted RouteHead, how it was chosen, and held-out scores: one tensor (documents,) for each list that
            holds a relevant document, in order, from fits that did not see the list.

        Raises:
            TeacherError: too few lists with a relevant document.
        """
        lists = judged_lists(scores, gains, settings.features).with_relevant()
        fitted = fit_router(lists, scores[0].real.shape[1], settings)
        held_out = [row[valid] for row, valid in zip(fitted.held_out, lists.valid, strict=True)]
        return cls(tuple(fitted.heads), fitted.router, settings.features), fitted.report, held_out

    def score(self, scores: HeadScores) -> Tensor:
        """Routed score of each document, (documents,)."""
        features = select_features(scores, self.heads, self.features)
        return self.router.head_weights(scores.state[None])[0] @ features

    def static_weights(self) -> WeightedHeads:
        """What the router starts from: the pool's learned weights, the same for every query."""
        return WeightedHeads(self.heads, tuple(self.router.static.tolist()), self.features, "static_weights")

    def weights(self, scores: HeadScores) -> dict[Head, float]:
        """The heads that are open for this query and their weights."""
        weights = self.router.head_weights(scores.state[None])[0].tolist()
        return {head: weight for head, weight in zip(self.heads, weights, strict=True) if weight}

    @property
    def depth(self) -> int | None:
        """One more than the deepest pool head's layer."""
        return depth_of(self.heads)

    def describe(self) -> dict[str, Any]:
        """Method, pool, limits and a hash of all that was learned."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.router.tensors().items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
        return {
            "method": "routehead",
            "heads": [str(head) for head in self.heads],
            "router": digest.hexdigest()[:16],
            "features": self.features.model_dump(mode="json"),
            **self.router.limits(),
        }

    def save(self, folder: Path, reader: HeadReader, model: Mapping[str, str], report: FitReport) -> None:
        """Write the router and what it belongs to into ``folder``: the model, the prompt and how it was fitted."""
        folder.mkdir(parents=True, exist_ok=True)
        # not save_file, which lets nobody but its owner read the file (safetensors 0.8)
        (folder / _TENSORS).write_bytes(save(self.router.tensors()))
        content = {
            "format": _FORMAT,
            **self.describe(),
            "model": dict(model),
            "prompt": reader.prompts.fingerprint,
            "state_layer": reader.state_layer,
            "fit": asdict(report),
        }
        (folder / _DESCRIPTION).write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path, reader: HeadReader, model: Mapping[str, str]) -> RouteHead:
        """Read what `save` wrote, for use with ``reader``.

        Raises:
            TeacherError: the folder holds no router, or a damaged one, or one fitted for another model, prompt or
                state layer.
        """
        try:
            content = json.loads((folder / _DESCRIPTION).read_text())
            if not isinstance(content, dict):
                raise ValueError(f"{_DESCRIPTION} holds a JSON {type(content).__name__}")
            tensors = load_file(folder / _TENSORS)
        except (OSError, ValueError, RecursionError, SafetensorError) as error:
            raise TeacherError(f"{folder}: no RouteHead can be read here: {error}") from error
        here = {"model": dict(model), "prompt": reader.prompts.fingerprint, "state_layer": reader.state_layer}
        for name, value in {"format": _FORMAT, **here}.items():
            if content.get(name) != value:
                raise TeacherError(
                    f"{folder / _DESCRIPTION}: fitted for {name} {content.get(name)!r}, but {value!r} is in use; "
                    "fit again or use what it was fitted for"
                )
        path = folder / _DESCRIPTION
        try:
            learned: dict[str, Any] = {name: content[name] for name in LIMITS}
            heads = tuple(Head.parse(text) for text in content["heads"])
            features = FeatureSettings(**content["features"])
            path = folder / _TENSORS
            learned |= {name: tensors[name] for name in LEARNED}
        except KeyError as error:
            raise TeacherError(f"{path}: no {error}; fit again") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise TeacherError(f"{path}: heads or features are not as a fit writes them; fit again") from error
        return cls(heads, Router(**learned), features)
