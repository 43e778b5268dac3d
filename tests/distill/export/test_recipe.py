"""What a recipe says of exports."""

from __future__ import annotations

import pytest

from distill.errors import RecipeError
from distill.recipe.file import load_recipe


def test_plain_folders_are_the_default_and_other_forms_are_named(recipe_file):
    assert load_recipe(str(recipe_file)).export.targets == ("hf",)
    wanted = load_recipe(str(recipe_file), ["export.targets=[hf, onnx, onnx-int8]"]).export.targets
    assert wanted == ("hf", "onnx", "onnx-int8")
    with pytest.raises(RecipeError, match=r"export.targets.1: .*'hf', 'onnx' or 'onnx-int8'.*tflite"):
        load_recipe(str(recipe_file), ["export.targets=[hf, tflite]"])
