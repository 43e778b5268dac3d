"""Without torch the command line still answers, and says in one line which extra a command takes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from distill.missing_packages import EXTRAS, install_advice

ROOT = Path(__file__).parents[2]
PACKAGES = ("distill", "labeling", "students", "teachers")
# distributions whose module has another name, and modules that come with a distribution of another name
MODULES = {"pystemmer": "stemmer", "pytrec_eval_terrier": "pytrec_eval", "pyyaml": "yaml"}
# the linker loads it, see distill/start.py
NOT_IMPORTED = {"tbb"}
BROUGHT = {"markupsafe": "jinja2", "huggingface_hub": "transformers"}


def required(requirements: list[str]) -> set[str]:
    """Module names, in lower case, of requirements; those that name another extra of ours are left out."""
    names = {re.split(r"[\[><=!~; ]", text)[0].lower().replace("-", "_") for text in requirements}
    return {MODULES.get(name, name) for name in names - {"distill"} - NOT_IMPORTED}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_extra_s_packages_are_known(project):
    for extra, modules in EXTRAS.items():
        expected = required(project["optional-dependencies"][extra])
        found = {module.lower() for module in modules if module not in BROUGHT}
        # tokenizers alone is in two: whoever serves needs no torch
        assert found == expected - ({"tokenizers"} if extra == "train" else set())


def imported(path: Path) -> set[str]:
    """Modules of others that a file imports anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    tops = {name.partition(".")[0] for name in names}
    return tops - set(sys.stdlib_module_names) - {*PACKAGES, "recipes"}


def test_every_package_that_is_imported_is_a_dependency_or_in_an_extra(project):
    known = required(project["dependencies"]) | {module for modules in EXTRAS.values() for module in modules}
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 150
    assert set().union(*map(imported, files)) <= known


def test_a_module_in_no_extra_is_another_fault():
    assert install_advice(ModuleNotFoundError("No module named 'nowhere'", name="nowhere")) is None
    assert install_advice(ModuleNotFoundError("someone's own message")) is None
    advice = install_advice(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    assert advice == "this needs the Python package 'torch', which is not installed; pip install 'distill[train]'"


BARE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from distill.cli import main
main()
"""


def without_extras(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process that finds none of the extras' packages."""
    absent = {module for modules in EXTRAS.values() for module in modules}
    command = [sys.executable, "-c", f"ABSENT = {absent!r}{BARE}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_answers_with_the_base_alone():
    shown = without_extras("--help")
    assert shown.returncode == 0, shown.stderr
    assert "rank" in shown.stdout


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("rank", "MODEL", "--backend", "torch", "--collection", "BEIR", "--run", "RUN", "--out", "x.run"), "train"),
        (("evaluate", "RUN", "--qrels", "BEIR/qrels/test.tsv"), "train"),
        (("first-stage", "BEIR", "--out", "x.run"), "train"),
        (("rank", "MODEL", "--backend", "onnx", "--collection", "BEIR", "--run", "RUN", "--out", "x.run"), "serve"),
    ],
)
def test_a_command_names_the_extra_it_takes(beir_folder, encoder_folder, tmp_path, command, extra):
    run = tmp_path / "first.run"
    run.write_text("q0 Q0 d1 1 2.0 x\n")
    places = {"MODEL": encoder_folder, "BEIR": beir_folder, "RUN": run}
    given = [re.sub("^(MODEL|BEIR|RUN)", lambda found: str(places[found[0]]), part) for part in command]
    done = without_extras(*given)
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(rf"error: this needs the Python package '\w+', .*\[{extra}\]'\n", done.stderr)
