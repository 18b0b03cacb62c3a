"""The architecture: who may import whom, what an import costs, and which names stay where."""

import ast
import importlib
import json
import re
import subprocess
import sys

import pytest
from conftest import REPO

MODULES = sorted(path.stem for path in REPO.glob("*.py"))
IMPORTABLE = json.loads((REPO / "tests" / "importable.json").read_text(encoding="utf-8"))
HEAVY = ("tensorflow", "keras", "matplotlib.pyplot", "pyaudio", "distributed", "IPython")
UNNEEDED = {"numba", "librosa", "onnxruntime", "scipy.signal", "rich", "skops"} | {
    f"sklearn.{part}"
    for part in ("linear_model", "metrics", "model_selection", "preprocessing", "svm", "pipeline")
}
"""What some calls need, and importing doesn't."""


def floors():
    """Module to its floor, by the table of CONTRIBUTING.md: dict of str to int."""
    text = (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", text, re.MULTILINE)
    return {name: int(floor) for floor, cell in rows for name in re.findall(r"`(\w+)\.py`", cell)}


def imports(module):
    """What a module imports, anywhere in it: list of (line, module, names)."""
    found = []
    for node in ast.walk(ast.parse((REPO / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, node.module, [alias.name for alias in node.names]))
    return [(line, name, names) for line, name, names in found if name in MODULES]


def test_every_module_is_on_one_floor():
    assert set(floors()) == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down_and_bring_nothing_private(module):
    floor = floors()
    for line, other, names in imports(module):
        assert floor[other] < floor[module], f"{module}.py:{line} imports {other}"
        private = [name for name in names if name.startswith("_")]
        assert not private, f"{module}.py:{line} imports {private} of {other}"


def test_importing_any_module_is_cheap():
    order = sorted(MODULES, key=lambda name: floors().get(name, 99))
    code = f"""
import importlib, sys
for name in {order}:
    importlib.import_module(name)
    heavy = [other for other in {HEAVY} if other in sys.modules]
    assert not heavy, f"import {{name}} loads {{heavy}}"
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert not done.returncode, done.stderr


def test_importing_recognizers_loads_little_beside_numpy_pandas_and_scikit_learn():
    code = f"""
import sys, numpy, pandas, sklearn
before = {{*sys.modules}}
import emotion_recognition
loaded = {UNNEEDED} & {{*sys.modules}} - before
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("module", IMPORTABLE)
def test_public_names_stay_importable(module):
    home = importlib.import_module(module)
    missing = [name for name in IMPORTABLE[module] if not hasattr(home, name)]
    assert not missing, f"{module} lost {missing}: see checks.moved"


def test_a_name_that_never_was_is_an_attribute_error():
    for module in IMPORTABLE:
        with pytest.raises(AttributeError):
            _ = importlib.import_module(module).never_was
