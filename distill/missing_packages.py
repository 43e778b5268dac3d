"""Which extra brings a package that is not installed: a server has few, and no command should fail obscurely there."""

from __future__ import annotations

EXTRAS = {
    "serve": {"onnxruntime", "tokenizers"},
    "train": {
        "torch", "transformers", "sentence_transformers", "accelerate", "peft", "datasets", "pyarrow", "duckdb",
        "safetensors", "gguf", "bm25s", "Stemmer", "regex", "pytrec_eval", "scipy", "statsmodels", "jinja2",
        "markupsafe", "huggingface_hub", "sentencex", "matplotlib",
    },
    "export": {"onnx", "onnxscript"},
    "ray": {"ray"},
    "korean": {"kiwipiepy"},
}  # fmt: skip
"""The modules that each extra of pyproject.toml is installed for."""


def install_advice(error: ModuleNotFoundError) -> str | None:
    """One line that says what to install, or None where the module is in no extra: then something else is wrong."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return f"this needs the Python package {module!r}, which is not installed; pip install 'distill[{extra}]'"
    return None
