"""Where recipes are: files, and those that come with the package; told without loading what it takes to read one."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path

from distill.errors import RecipeError

SUFFIX = ".yaml"


def find_recipe(place: str) -> Path:
    """The file of a recipe.

    Raises:
        RecipeError: neither a file nor the name of a packaged recipe.
    """
    path = Path(place)
    if path.is_file():
        return path
    packaged = packaged_recipes()
    # a path such as recipes/quickstart.yaml also works where the package is installed without its source tree
    if path.suffix in ("", SUFFIX) and path.parent.name in ("", "recipes") and path.stem in packaged:
        return packaged[path.stem]
    near = difflib.get_close_matches(path.stem, packaged, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise RecipeError.at(place, f"no such recipe file; {meant}packaged recipes are {', '.join(packaged)}")


def packaged_recipes() -> dict[str, Path]:
    """The files of the recipes that come with the package, by name."""
    folder = Path(str(resources.files("recipes")))
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}
