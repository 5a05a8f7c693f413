"""Exported libraries: built as their users build them, and held against the program they came from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import random_float, random_int8

from netwright import devices
from netwright.devices.c.export import MARK, Package, formats, write
from netwright.devices.c.toolchain import ZIG, build, run, system_compiler, zig
from netwright.devices.cortex_m.emulator import Image, Unicorn
from netwright.devices.cortex_m.flags import GCC, flags
from netwright.errors import UserError
from netwright.graph import Graph

KINDS = ("arduino", "cmake", "zephyr")
NEEDS_GCC = pytest.mark.skipif(shutil.which(GCC) is None, reason=f"{GCC} is not on the PATH")
NEEDS_CMAKE = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on the PATH")
ARDUINO_H = """#include <stdio.h>
struct Port {
    void begin(long) {}
    void print(const char *s) { printf("%s", s); }
    void print(long v) { printf("%ld", v); }
    void println(const char *s) { printf("%s\\n", s); }
    void println(long v) { printf("%ld\\n", v); }
} Serial;
static unsigned long micros() { return 0; }
static void delay(long) {}
"""
ZEPHYR_CMAKE = """cmake_minimum_required(VERSION 3.16)
project(app LANGUAGES C)
set(CONFIG_@NAME@ @SET@)
macro(zephyr_include_directories)
    include_directories(${CMAKE_CURRENT_SOURCE_DIR}/${ARGN})
endmacro()
macro(zephyr_library_named name)
    add_library(${name} STATIC)
    set(current ${name})
endmacro()
macro(zephyr_library_sources)
    target_sources(${current} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_include_directories)
    target_include_directories(${current} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_options)
    target_compile_options(${current} PRIVATE ${ARGN})
endmacro()
add_subdirectory(@MODULE@ module)
"""


@pytest.fixture(scope="module")
def network() -> tuple[Graph, np.ndarray]:
    graph, _ = random_int8(1)
    x = (np.arange(graph.inputs[0].type.size) % 100).astype(np.int8).reshape(graph.inputs[0].shape)
    return graph, x


@pytest.fixture(scope="module")
def package(network: tuple[Graph, np.ndarray]) -> Package:
    return Package.of(devices.get("cortex-m4").compile(network[0]))


def sources(library: Path) -> list[Path]:
    """What a build of the library alone compiles."""
    return [p for p in sorted(library.rglob("*.c")) if p.parts[len(library.parts)] == "src"]


def printed(text: str) -> list[int]:
    """The numbers of lines `index: number`."""
    rows = [line.split(": ") for line in text.splitlines() if ": " in line]
    assert [int(index) for index, _ in rows] == list(range(len(rows)))
    return [int(number.split()[0]) for _, number in rows]


def emulated(elf: Path, name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Output of one run of an ELF on an emulated Cortex-M4, of the type and shape of `y`."""
    board, image = devices.get("cortex-m4").board, Image.read(elf)  # type: ignore[attr-defined]
    ram = (board.ram_origin, image.symbols["nw_stack_top"] - board.ram_origin)
    machine = Unicorn(image, board.core, (board.flash_origin, board.flash_bytes), ram)
    machine.call(f"{name}_infer_reset")
    machine.write(machine.call(f"{name}_infer_input", 0), x.tobytes())
    machine.call(f"{name}_infer")
    return np.frombuffer(machine.read(machine.call(f"{name}_infer_output", 0), y.nbytes), y.dtype).reshape(y.shape)


def board_files(graph: Graph) -> dict[str, str]:
    """Start-up code, linker script and main of a Cortex-M4 program of this network."""
    folder = devices.get("cortex-m4").compile(graph).folder
    return {name: (folder / name).read_text() for name in ("startup.c", "link.ld", "main.c")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_sources_of_a_library_give_the_same_bytes_on_the_core(
    kind: str, network: tuple[Graph, np.ndarray], package: Package, tmp_path: Path
) -> None:
    graph, x = network
    library = write(package, kind, tmp_path / "library")
    files = {
        p.name: p.read_text() for p in library.rglob("*.[ch]") if p.parts[len(library.parts)] in ("src", "include")
    }
    (tmp_path / "firmware.elf").write_bytes(
        build({**files, **board_files(graph)}, flags(ZIG, "cortex-m4", False), "firmware.elf")
    )
    (expected,) = graph.run(x)
    assert np.array_equal(emulated(tmp_path / "firmware.elf", package.name, x, expected), expected)


@NEEDS_GCC
@pytest.mark.parametrize("core", ("cortex-m0plus", "cortex-m4", "cortex-m7"))
@pytest.mark.parametrize("kind", KINDS)
def test_the_sources_of_a_library_build_with_gcc_without_a_warning(
    kind: str, core: str, package: Package, tmp_path: Path
) -> None:
    library = write(package, kind, tmp_path / "library")
    for source in sources(library):
        options = [f"-mcpu={core}", "-mthumb", "-Os", "-ffreestanding", "-Wall", "-Wextra", "-Werror"]
        include = [f"-I{library / folder}" for folder in ("src", "include")]
        run(system_compiler(GCC), [*options, *include, "-c", str(source), "-o", str(tmp_path / "x.o")], tmp_path)


@NEEDS_CMAKE
@NEEDS_GCC
def test_the_cmake_library_built_by_gcc_gives_the_same_bytes_on_the_core(
    network: tuple[Graph, np.ndarray], package: Package, tmp_path: Path
) -> None:
    graph, x = network
    library = write(package, "cmake", tmp_path / "library")
    made = tmp_path / "build"
    run(["cmake"], ["-B", str(made), "-S", str(library), f"-DCMAKE_TOOLCHAIN_FILE={library}/toolchain.cmake"], tmp_path)
    run(["cmake"], ["--build", str(made)], tmp_path)
    for name, text in board_files(graph).items():
        (tmp_path / name).write_text(text)
    own = [f"-I{library}/include", "startup.c", "main.c", str(made / f"lib{package.name}.a"), "-lgcc"]
    run(system_compiler(GCC), [*flags(GCC, "cortex-m4", False), *own, "-o", "firmware.elf"], tmp_path)
    (expected,) = graph.run(x)
    assert np.array_equal(emulated(tmp_path / "firmware.elf", package.name, x, expected), expected)


@NEEDS_CMAKE
def test_the_cmake_example_prints_what_the_program_gives(
    network: tuple[Graph, np.ndarray], package: Package, tmp_path: Path
) -> None:
    graph, x = network
    library = write(package, "cmake", tmp_path / "library")
    (tmp_path / "cc").write_text(f'#!/bin/sh\nexec {" ".join(zig())} "$@"\n')
    (tmp_path / "cc").chmod(0o755)
    compiler = f"-DCMAKE_C_COMPILER={tmp_path / 'cc'}"
    run(["cmake"], ["-B", "build", "-S", str(library), compiler], tmp_path)
    run(["cmake"], ["--build", "build"], tmp_path)
    done = subprocess.run([tmp_path / "build" / f"{package.name}_example"], capture_output=True, text=True, check=True)
    assert printed(done.stdout) == graph.run(x)[0].reshape(-1).tolist()


def test_the_arduino_sketch_prints_what_the_program_gives(
    network: tuple[Graph, np.ndarray], package: Package, tmp_path: Path
) -> None:
    graph, x = network
    library = write(package, "arduino", tmp_path / "library")
    sketch = library / "examples" / package.title / f"{package.title}.ino"
    main = "int main() { setup(); loop(); return 0; }\n"
    (tmp_path / "sketch.cpp").write_text(ARDUINO_H + sketch.read_text() + main)
    own = [f"-I{library}/src", "-fno-sanitize=all"]
    run(zig(), [*own, "-c", *map(str, sources(library))], tmp_path)
    made = [str(p) for p in tmp_path.glob("*.o")]
    run([*zig()[:-1], "c++"], [*own, "-fno-exceptions", "sketch.cpp", *made, "-o", "sketch"], tmp_path)
    done = subprocess.run([tmp_path / "sketch"], capture_output=True, text=True, check=True)
    assert printed(done.stdout) == graph.run(x)[0].reshape(-1).tolist()


@NEEDS_GCC
def test_the_arduino_sketch_compiles_as_the_ide_does(package: Package, tmp_path: Path) -> None:
    library = write(package, "arduino", tmp_path / "library")
    declared = ARDUINO_H.replace("#include <stdio.h>\n", 'extern "C" int printf(const char *, ...);\n')
    (tmp_path / "Arduino.h").write_text(declared)
    sketch = library / "examples" / package.title / f"{package.title}.ino"
    options = ["-mcpu=cortex-m4", "-mthumb", "-Os", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-Wall"]
    given = ["-x", "c++", "-include", "Arduino.h", f"-I{library}/src", "-c", str(sketch), "-o", "sketch.o"]
    run(system_compiler("arm-none-eabi-g++"), [*options, *given], tmp_path)
    fields = dict(line.split("=", 1) for line in (library / "library.properties").read_text().splitlines())
    asked = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert asked <= set(fields) and all(fields.values())
    assert (library / "src" / fields["includes"]).is_file()
    assert all(len(line.split("\t")) == 2 for line in (library / "keywords.txt").read_text().splitlines())


@NEEDS_CMAKE
@pytest.mark.parametrize("switched", (True, False))
def test_the_zephyr_module_is_built_where_its_symbol_is_set(
    switched: bool, network: tuple[Graph, np.ndarray], package: Package, tmp_path: Path
) -> None:
    """Zephyr's own CMake functions are stood in for by their plain counterparts."""
    graph, x = network
    module = write(package, "zephyr", tmp_path / "module")
    words = {"NAME": f"NETWRIGHT_{package.name.upper()}", "SET": "y" if switched else "", "MODULE": str(module)}
    text = ZEPHYR_CMAKE
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    (tmp_path / "CMakeLists.txt").write_text(text)
    (tmp_path / "cc").write_text(f'#!/bin/sh\nexec {" ".join(zig())} "$@"\n')
    (tmp_path / "cc").chmod(0o755)
    run(["cmake"], ["-B", "build", "-S", ".", f"-DCMAKE_C_COMPILER={tmp_path / 'cc'}"], tmp_path)
    run(["cmake"], ["--build", "build"], tmp_path)
    built = list((tmp_path / "build").rglob("*.a"))
    assert bool(built) == switched
    assert (module / "Kconfig").read_text().startswith(f"config NETWRIGHT_{package.name.upper()}\n")
    sample = module / "samples" / package.name
    assert f"CONFIG_NETWRIGHT_{package.name.upper()}=y" in (sample / "prj.conf").read_text().splitlines()
    if switched:
        (tmp_path / "zephyr").mkdir()
        (tmp_path / "zephyr" / "kernel.h").write_text("#include <stdio.h>\n#define printk printf\n")
        given = [f"-I{tmp_path}", f"-I{module}/include", str(sample / "src" / "main.c"), str(built[0]), "-o", "sample"]
        run(zig(), given, tmp_path)
        done = subprocess.run([tmp_path / "sample"], capture_output=True, text=True, check=True)
        assert printed(done.stdout) == graph.run(x)[0].reshape(-1).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_every_library_carries_the_licence_and_says_what_was_measured(
    kind: str, package: Package, tmp_path: Path
) -> None:
    library = write(package, kind, tmp_path / "library")
    assert (library / "LICENSE").read_text() == (Path(__file__).parents[2] / "LICENSE").read_text()
    readme = (library / "README.md").read_text()
    assert all(figure in readme for _, figure in package.figures)
    for call in ("init", "input", "infer", "output"):
        assert f"{package.name}_{call}" in readme
    own = json.loads((library / MARK).read_text())["files"]
    assert sorted(own) == sorted(str(p.relative_to(library)) for p in library.rglob("*") if p.is_file())


def test_floating_networks_are_exported_too(tmp_path: Path) -> None:
    graph = random_float(np.random.default_rng(0), 3)
    graph = graph.with_store(graph.store.initialise(graph, 0))
    package = Package.of(devices.get("cortex-m4").compile(graph))
    library = write(package, "arduino", tmp_path / "library")
    assert "thousandths" not in package.described()
    assert "(long)(y[i] * 1000)" in (library / "examples" / package.title / f"{package.title}.ino").read_text()
    assert "-mfpu=fpv4-sp-d16" in (write(package, "cmake", tmp_path / "c") / "toolchain.cmake").read_text()


@pytest.mark.parametrize("name", ("time", "String", "test", "conv", "signal"))
def test_names_that_mean_something_to_a_compiler_are_not_taken(name: str, tmp_path: Path) -> None:
    graph, x = random_int8(1, layers=1)
    program = devices.get("host").compile(replace(graph, name=name), out=tmp_path / "program")
    package = Package.of(program)
    assert package.name == f"{name.lower()}_network"
    library = write(package, "zephyr", tmp_path / "library")
    assert not (library / "include" / f"{name.lower()}.h").exists()
    assert np.array_equal(program.run(x)[0], graph.run(x)[0])


def test_nothing_but_an_export_is_ever_replaced(package: Package, tmp_path: Path) -> None:
    place = tmp_path / "library"
    write(package, "cmake", place)
    with pytest.raises(UserError, match="--overwrite"):
        write(package, "cmake", place)
    write(package, "zephyr", place, overwrite=True)
    assert (place / "Kconfig").is_file() and not (place / "example").exists()
    (place / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt is not part of the export"):
        write(package, "cmake", place, overwrite=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="was not written by"):
        write(package, "cmake", other, overwrite=True)
    with pytest.raises(UserError, match="is no folder"):
        write(package, "cmake", other / "thesis.tex", overwrite=True)
    with pytest.raises(UserError, match="did you mean 'cmake'"):
        write(package, "cmaek", tmp_path / "new")
    assert (other / "thesis.tex").read_text() == (place / "notes.txt").read_text() == "mine"
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_the_command_and_its_refusals(network: tuple[Graph, np.ndarray], tmp_path: Path) -> None:
    devices.get("cortex-m0plus").compile(network[0], out=tmp_path / "built")

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        given = [sys.executable, "-m", "netwright", "export", *arguments]
        return subprocess.run(given, capture_output=True, text=True, cwd=tmp_path)

    done = command("built", "--as", "cmake", "-o", "lib", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["device"] == "cortex-m0plus" and "CMakeLists.txt" in found["files"]
    shutil.copytree(tmp_path / "built", tmp_path / "damaged")
    manifest = tmp_path / "damaged" / "netwright.json"
    manifest.write_text(manifest.read_text().replace('"program": "', '"program": "../'))
    for arguments, words in (
        (("built", "--as", "cmake", "-o", "lib"), "--overwrite"),
        (("built", "--as", "platformio"), "unknown format"),
        (("nowhere", "--as", "cmake"), "nowhere"),
        (("damaged", "--as", "cmake", "-o", "new"), "damaged"),
    ):
        done = command(*arguments)
        assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not os.path.exists(tmp_path / "new")


def test_every_format_is_known_by_its_file() -> None:
    assert tuple(formats()) == KINDS
