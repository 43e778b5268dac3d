"""What servers look for in a folder's ONNX graph, and in what an int8 graph was judged by."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from distill.export.model_folder import GRAPH, ModelFolder
from distill.export.rules import AGAIN, Problem, Rule, export_facts
from distill.export.servers import GRAPH_LIMIT

_INT64 = 7  # onnx.TensorProto.INT64
_QUANTISED_OPERATIONS = frozenset(
    {
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "DynamicQuantizeLinear",
        "DynamicQuantizeMatMul",
        "MatMulNBits",
    }
)


def _graph_file(folder: ModelFolder) -> Problem | None:
    target = export_facts(folder).get("target")
    found = sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*.onnx*") if path.is_file())
    if not found:
        return Problem(f"target {target}, but no {GRAPH}") if target in ("onnx", "onnx-int8") else None
    return None if found == [GRAPH] else Problem(", ".join(found))


def _graph_size(folder: ModelFolder) -> Problem | None:
    path = folder.path / GRAPH
    if not path.is_file() or path.stat().st_size < GRAPH_LIMIT:
        return None
    return Problem(f"{path.stat().st_size / 1024**3:.1f} GiB")


def _graph_readable(folder: ModelFolder) -> Problem | None:
    if not (folder.path / GRAPH).is_file():
        return None
    graph = _graph(folder)
    if graph is None:
        return Problem("not an ONNX file")
    apart = [tensor.name for tensor in graph.initializer if tensor.external_data]
    return Problem(f"tensor {apart[0]} is kept in another file") if apart else None


def _graph_inputs(folder: ModelFolder) -> Problem | None:
    from distill.export.graph import graph_inputs

    graph = _graph(folder)
    if graph is None:
        return None
    found = {value.name: value.type.tensor_type for value in graph.input}
    wanted = graph_inputs(folder.config)
    if set(found) != set(wanted):
        return Problem(f"inputs {', '.join(found)}; the model reads {', '.join(wanted)}")
    for name, kind in found.items():
        if kind.elem_type != _INT64:
            return Problem(f"{name} is not int64")
        if _fixed(kind):
            return Problem(f"{name} has a fixed size: {_fixed(kind)}")
    return None


def _graph_output(folder: ModelFolder) -> Problem | None:
    graph = _graph(folder)
    if graph is None:
        return None
    names = [value.name for value in graph.output]
    if names != ["logits"]:
        return Problem(f"outputs {', '.join(names)}")
    shape = graph.output[0].type.tensor_type.shape.dim
    if len(shape) == 2 and shape[1].dim_value == 1 and not shape[0].dim_value:
        return None
    return Problem(f"logits {[size.dim_value or size.dim_param for size in shape]}")


def _graph_kind(folder: ModelFolder) -> Problem | None:
    graph, target = _graph(folder), export_facts(folder).get("target")
    if graph is None:
        return None
    quantised = any(node.op_type in _QUANTISED_OPERATIONS for node in graph.node)
    if quantised == (target == "onnx-int8"):
        return None
    return Problem(f"target {target}, but the graph is {'int8' if quantised else 'fp32'}")


def _gate(folder: ModelFolder) -> Problem | None:
    facts = export_facts(folder)
    if facts.get("target") != "onnx-int8":
        return None
    gate = facts.get("gate")
    if not isinstance(gate, dict):
        return Problem("written by --force without real lists: nobody knows what it does to rankings", warning=True)
    if gate.get("passed") is True:
        return None
    return Problem(f"written by --force: {'; '.join(map(str, gate.get('failures', [])))}")


def _fixed(kind: Any) -> list[int]:
    return [size.dim_value for size in kind.shape.dim if size.dim_value]


def _graph(folder: ModelFolder) -> Any:
    """The graph, or None where there is none that can be read."""
    path = folder.path / GRAPH
    if not path.is_file():
        return None
    stamp = path.stat()
    return _loaded(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=1)
def _loaded(path: Path, changed: int, size: int) -> Any:
    import onnx

    try:
        return onnx.load(path, load_external_data=False).graph
    except Exception:  # protobuf's own error among others
        return None


GRAPH_RULES: tuple[Rule, ...] = (
    Rule("graph-file", f"{GRAPH} and no other graph: servers look for this name, and a folder has one answer", AGAIN,
         _graph_file),
    Rule("graph-size", "below 2 GiB, as one file can hold no more", "export with --target hf", _graph_size),
    Rule("graph-readable", "one ONNX file with all its weights", AGAIN, _graph_readable),
    Rule("graph-inputs", "int64 inputs of free batch and length: input_ids, attention_mask, and token_type_ids where "
         "the model has token types", AGAIN, _graph_inputs),
    Rule("graph-output", "one output, logits [batch, 1]", AGAIN, _graph_output),
    Rule("graph-kind", "int8 operations in an int8 export alone", AGAIN, _graph_kind),
    Rule("gate", "an int8 graph that was judged by real lists and passed", "export with --collection and --run, or "
         "--pairs-file; where it fails, use --target onnx", _gate),
)  # fmt: skip
