"""Which docstrings are read out of a package's source, and under which name."""

import pytest

from distill.collections.docstring_source import Docstring, find_root, read_docstrings

SOURCES = {
    "__init__.py": "from ._hidden import shown, Shape\n",
    "_hidden.py": """
        def shown(): "Exported."
        def kept_back(): "Not exported."
        class Shape:
            "A shape."
            def draw(self): "Draws it."
    """,
    "open.py": '''
        """The module's own docstring is nobody's known item."""
        def load():
            """First line.

                indented
            last
            """
            def inner(): "Local."
        def load(): "A second definition."
        async def later(): "Awaited."
        def _private(): "Private."
        class _Private:
            def method(self): "Of a private class."
        class Open:
            "A class."
            class Inner: "A class in a class."
            def bare(self): pass
    ''',
    "_inside/deep.py": 'def nested(): """In a private folder."""\n',
    "tests/test_open.py": 'def helper(): """Of the tests."""\n',
    "test_more.py": 'def helper(): """Of the tests."""\n',
    "broken.py": 'def broken(: """Another language."""\n',
    "single.py": "def single(): 'Read only where the file has a long string.'\n",
}


@pytest.fixture
def root(tmp_path):
    """A package on disk; one-line docstrings become long strings, which is what a file must have to be parsed."""
    for name, source in SOURCES.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = source.splitlines()
        indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
        path.write_text("\n".join(line[indent:] for line in lines) + '\nTAIL = """long"""\n' * (name != "single.py"))
    return tmp_path / "pack"


def test_public_objects_are_read_and_named_as_users_import_them(root):
    assert read_docstrings("pack", root) == [
        Docstring("pack.Shape", "pack", "A shape."),
        Docstring("pack.Shape.draw", "pack", "Draws it."),
        Docstring("pack.open.Open", "pack", "A class."),
        Docstring("pack.open.Open.Inner", "pack", "A class in a class."),
        Docstring("pack.open.later", "pack", "Awaited."),
        Docstring("pack.open.load", "pack", "First line.\n\n    indented\nlast"),
        Docstring("pack.shown", "pack", "Exported."),
    ]


def test_the_standard_library_has_no_package_name_in_front(root):
    assert read_docstrings("stdlib", root)[0].name == "Shape"


def test_roots_are_found_without_importing():
    assert (find_root("stdlib") / "json" / "decoder.py").is_file()
    assert (find_root("jinja2") / "loaders.py").is_file()
    assert find_root("no_such_package_at_all") is None


def test_models_of_transformers_are_left_out(root):
    (root / "models").mkdir()
    (root / "models" / "one.py").write_text('def forward(): """One of a hundred."""\n')
    names = {package: {d.name for d in read_docstrings(package, root)} for package in ("transformers", "pack")}
    assert "pack.models.one.forward" in names["pack"]
    assert "transformers.models.one.forward" not in names["transformers"]
