"""The house rules: imports point one way, the light commands stay light, files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "netwright"

# who may import whom: a folder may import those in later rows, never its own row's others or earlier ones
ROWS = (
    ("cli",),
    ("report", "systems"),
    ("study",),
    ("search", "estimate", "train", "compress"),
    ("spaces", "tasks"),
    ("devices",),
    ("models",),
    ("compile",),
    ("graph",),
)
ROW_OF = {folder: index for index, row in enumerate(ROWS) for folder in row}


def imported(path: Path) -> set[str]:
    """First-level netwright folders that a file imports, also inside functions."""
    found: set[str] = set()
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                module = node.module or ""
                names = [module] if module != "netwright" else [f"netwright.{alias.name}" for alias in node.names]
            elif node.level == depth:
                names = [f"netwright.{node.module}"] if node.module else [f"netwright.{a.name}" for a in node.names]
        found.update(name.split(".")[1] for name in names if name.startswith("netwright."))
    return found & set(ROW_OF)


@pytest.mark.parametrize("folder", sorted(ROW_OF))
def test_imports_point_one_way(folder: str) -> None:
    wrong = []
    for path in (PACKAGE / folder).rglob("*.py"):
        for other in imported(path):
            if other != folder and ROW_OF[other] <= ROW_OF[folder]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert not wrong, wrong


def test_every_folder_of_the_package_has_a_row() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == set(ROW_OF)


def test_every_package_has_a_manual() -> None:
    short = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("__init__.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not short, short


@pytest.mark.parametrize(
    "statement",
    [
        "import netwright.graph",
        "import netwright.devices, netwright.compile.int8",
        "import netwright.cli.app as a; a._register()",
        "import netwright.report",
        "import netwright.devices.ane.training.lora",
        "import netwright.devices.ane.mil, netwright.devices.ane.execute, netwright.devices.ane.package",
    ],
)
def test_light_modules_do_not_load_torch(statement: str) -> None:
    code = f"{statement}; import sys; print([m for m in ('torch', 'optuna', 'scipy', 'onnx', 'sklearn', 'coremltools') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unicorn_is_imported_in_one_module_only() -> None:
    users = [
        p.name for p in PACKAGE.rglob("*.py") if "import unicorn" in p.read_text() or "from unicorn" in p.read_text()
    ]
    assert users == ["emulator.py"]


def test_files_stay_under_500_lines() -> None:
    long = {
        str(p.relative_to(PACKAGE)): n for p in PACKAGE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 500
    }
    assert not long, long


def test_no_unfinished_marks_or_package_hosts() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "pypi" + ".org", "python" + "hosted")
    found = [
        f"{p.name}: {w}"
        for p in PACKAGE.parent.rglob("*.py")
        if ".venv" not in p.parts
        for w in words
        if w in p.read_text()
    ]
    assert not found, found
