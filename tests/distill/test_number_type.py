"""Which processors and cards read a model in bf16 without being told to: those that multiply it themselves."""

import pytest
import torch

from distill.models import runs_bf16_fast

FEATURES = [
    pytest.param(True, True, True, id="Intel since 2023: AMX"),
    pytest.param(False, True, True, id="AMD since 2022, or AMX hidden by a virtual machine: AVX512_BF16"),
    pytest.param(False, False, False, id="neither: bf16 is converted on the way and slower"),
]


@pytest.mark.parametrize(("amx", "avx512_bf16", "fast"), FEATURES)
def test_bf16_is_taken_where_the_processor_multiplies_it(amx, avx512_bf16, fast, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    assert runs_bf16_fast() is fast


@pytest.mark.parametrize("native", [True, False])
def test_a_card_that_only_emulates_bf16_reads_in_fp32(native, monkeypatch):
    # as torch answers of an A100, and of a T4
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert runs_bf16_fast() is native
