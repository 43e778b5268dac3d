"""Checks an exported folder: every rule that servers' loaders have, and each loader's scores."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from distill.errors import ModelError
from distill.export.config_rules import CONFIG_RULES
from distill.export.file_rules import FILE_RULES
from distill.export.graph_rules import GRAPH_RULES
from distill.export.model_folder import ACTIVATIONS, GRAPH, WEIGHTS, ModelFolder, read_model_folder
from distill.export.parity import PARITY, LoaderParity, compare_loaders, read_parity
from distill.export.rules import Rule, export_facts
from distill.export.servers import TARGETS, Target, Verdict, verdicts

State = Literal["pass", "fail", "warn"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of a folder; ``came`` and ``repair`` are empty where it passed."""

    rule: str
    state: State
    came: str
    accepted: str
    repair: str


@dataclass(frozen=True)
class CheckReport:
    """What is known of a folder.

    Args:
        path: the folder.
        findings: what each rule says.
        parity: each loader's scores; empty where the folder has no pairs to compare with.
        reading: how scores are to be read: raw logits or probabilities, by those who obey the folder.
        servers: which servers can load it.
    """

    path: Path
    findings: list[Finding]
    parity: list[LoaderParity]
    reading: str
    servers: list[Verdict]

    @property
    def passed(self) -> bool:
        """Whether no rule fails and each loader scores as the model did."""
        return all(finding.state != "fail" for finding in self.findings) and all(row.passed for row in self.parity)

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; figures that are not numbers are null."""
        rows = [
            {
                key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in row.items()
            }
            for row in map(asdict, self.parity)
        ]
        return {
            "folder": str(self.path),
            "passed": self.passed,
            "rules": [asdict(finding) for finding in self.findings],
            "parity": rows,
            "scores": self.reading,
            "servers": [asdict(verdict) for verdict in self.servers],
        }


def check_folder(path: Path) -> CheckReport:
    """Examine a folder and score its pairs with everything that can load it.

    Raises:
        ModelError: no model's folder.
    """
    folder = read_model_folder(path)
    findings = examine(folder)
    target = export_facts(folder).get("target")
    quantised = target == "onnx-int8"
    return CheckReport(
        path=path,
        findings=findings,
        parity=compare_loaders(folder, quantised) if _has_pairs(folder) else [],
        reading=_reading(folder),
        servers=_servers(folder, target) if target in TARGETS else [],
    )


def examine(folder: ModelFolder) -> list[Finding]:
    """What every rule says of the folder, the graph's rules last."""
    return [_apply(rule, folder) for rule in (*CONFIG_RULES, *FILE_RULES, *GRAPH_RULES)]


def _apply(rule: Rule, folder: ModelFolder) -> Finding:
    problem = rule.check(folder)
    if problem is None:
        return Finding(rule.name, "pass", "", rule.accepted, "")
    return Finding(rule.name, "warn" if problem.warning else "fail", problem.came, rule.accepted, rule.repair)


def _servers(folder: ModelFolder, target: Target) -> list[Verdict]:
    """What each server makes of the folder; none runs one that lacks what its target promises."""
    whole = folder.has_weights if target == "hf" else folder.has_graph
    lacking = None if whole else f"no {WEIGHTS if target == 'hf' else GRAPH} in it"
    return [Verdict(verdict.server, verdict.reason or lacking) for verdict in verdicts(folder, target)]


def _has_pairs(folder: ModelFolder) -> bool:
    try:
        read_parity(folder.path / PARITY)
    except ModelError:
        return False  # the rule for this file says why
    return True


def _reading(folder: ModelFolder) -> str:
    told = ACTIVATIONS.get(folder.activation, folder.activation)
    return (
        f"sentence-transformers and vLLM return a {told}, as config.json says; transformers and ONNX Runtime return a "
        "raw logit, always. text-embeddings-inference, infinity and Elasticsearch apply a sigmoid of their own unless "
        "told otherwise. The order is the same in each."
    )
