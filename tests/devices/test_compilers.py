"""A second compiler: the same bytes, and counts that name what built them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from networks import random_float, random_int8

from netwright import devices
from netwright.devices.cortex_m.flags import GCC
from netwright.errors import UserError

CORES = ("cortex-m0plus", "cortex-m4", "cortex-m7")
NEEDS_GCC = pytest.mark.skipif(shutil.which(GCC) is None, reason=f"{GCC} is not on the PATH")


@NEEDS_GCC
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("core", CORES)
def test_programs_built_by_gcc_give_the_bytes_of_the_reference(core: str, seed: int, tmp_path: Path) -> None:
    graph, x = random_int8(seed, layers=4 + seed % 3)
    program = devices.get(core).compile(graph, {"compiler": GCC}, tmp_path)
    assert np.array_equal(program.run(x)[0], graph.run(x)[0])
    profile = program.profile(x)
    assert profile.compiler.startswith(f"{GCC} ") and profile.compiler.split()[1][0].isdigit()
    assert profile.ram_bytes["arena"] == devices.get(core).cost(graph).ram_bytes["arena"]


@NEEDS_GCC
@pytest.mark.parametrize("core", CORES)
def test_floating_programs_built_by_gcc_give_the_bits_of_the_other_compiler(core: str, tmp_path: Path) -> None:
    graph = random_float(np.random.default_rng(4), 5)
    graph = graph.with_store(graph.store.initialise(graph, 0))
    x = np.random.default_rng(1).standard_normal((3, *graph.inputs[0].shape[1:])).astype(np.float32)
    device = devices.get(core)
    ours = device.compile(graph, {"compiler": GCC}, tmp_path / "gcc").run(x)[0]
    assert ours.tobytes() == device.compile(graph, out=tmp_path / "zig").run(x)[0].tobytes()


@NEEDS_GCC
def test_a_full_memory_is_named_whichever_compiler_links(tmp_path: Path) -> None:
    graph, _ = random_int8(3)
    for compiler in ("zig", GCC):
        with pytest.raises(UserError, match="B more RAM than the 64 B of cortex-m4"):
            devices.get("cortex-m4", ram=64).compile(graph, {"compiler": compiler}, tmp_path)


def test_other_compilers_are_refused(tmp_path: Path) -> None:
    graph, _ = random_int8(0, layers=1)
    for compiler in ("icc", "/opt/nowhere/arm-none-eabi-gcc"):
        with pytest.raises(UserError, match=compiler):
            devices.get("cortex-m4").compile(graph, {"compiler": compiler}, tmp_path)
    with pytest.raises(UserError, match="for Cortex-M"):
        devices.get("host").compile(graph, {"compiler": GCC}, tmp_path)
