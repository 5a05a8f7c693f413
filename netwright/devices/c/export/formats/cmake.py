"""A CMake library: `add_subdirectory` it, link `<name>`, include `<name>.h`."""

from __future__ import annotations

from ..package import Package

ABOUT = "a CMake library target with a toolchain file for its core"


def files(package: Package) -> dict[str, str]:
    """Path -> text of the library."""
    name = package.name
    made = {f"include/{name}.h": package.header, "example/main.c": example(package, "stdio.h", "printf")}
    made.update({f"src/{file}": text for file, text in package.sources.items()})
    made["CMakeLists.txt"] = _lists(package)
    how = f"""```cmake
add_subdirectory({name})
target_link_libraries(firmware PRIVATE {name})
```

The example alone, on this machine: `cmake -B build && cmake --build build && ./build/{name}_example`."""
    if package.flags:
        made["toolchain.cmake"] = _toolchain(package)
        how += "\nFor the core: `cmake -B build -DCMAKE_TOOLCHAIN_FILE=toolchain.cmake && cmake --build build`."
    made["README.md"] = readme(package, how)
    return made


def readme(package: Package, how: str) -> str:
    """The README of any library: what it is, how it is used, what was measured, whose it is."""
    name = package.name
    calls = [
        (f"{name}_init();", "once: states to their start"),
        (f"{package.input_ctype} *x = {name}_input();", f"write {package.input_count} numbers here, before every run"),
        (f"{name}_{package.entry}();", "one run"),
        (f"const {package.output_ctype} *y = {name}_output();", f"{package.output_count} numbers, until the next run"),
    ]
    width = max(len(call) for call, _ in calls)
    used = "\n".join(f"{call:{width}s} /* {words} */" for call, words in calls)
    return f"""# {name}

A neural network as C, written by netwright: no heap, no interpreter, one static arena.

{how}

```c
#include "{name}.h"

{used}
```

{package.described()}

Not reentrant: all calls of one network belong to one thread. A quantised tensor holds real / scale + zero point; both
are macros of `{name}.h`. The C is under the Apache License 2.0 (`LICENSE`).
"""


def fill(package: Package) -> str:
    """C that writes something into the input of an example."""
    return f"""{package.input_ctype} *x = {package.name}_input();
    for (int i = 0; i < {package.input_count}; i++)
        x[i] = ({package.input_ctype})(i % 100); /* put your sensor's data here */"""


def example(package: Package, header: str, show: str) -> str:
    """A main program that prints with `show`, a printf of `header`."""
    name = package.name
    return f"""/* One run of {name} on made-up data; prints every output. */
#include <{header}>
#include "{name}.h"

int main(void)
{{
    {name}_init();
    {fill(package)}
    {name}_{package.entry}();
    const {package.output_ctype} *y = {name}_output();
    for (int i = 0; i < {package.output_count}; i++)
        {show}("%d: %ld{package.unit()}\\n", i, {package.shown("y[i]")});
    return 0;
}}
"""


def _lists(package: Package) -> str:
    name = package.name
    return f"""cmake_minimum_required(VERSION 3.16)
project({name} LANGUAGES C)

add_library({name} STATIC src/{name}.c)
target_include_directories({name} PUBLIC include PRIVATE src)
target_compile_features({name} PUBLIC c_std_99)
set_target_properties({name} PROPERTIES C_EXTENSIONS ON)
# the kernels are made for -O2; sums of a floating-point network round as they were measured
target_compile_options({name} PRIVATE -O2 -ffp-contract=off -ffunction-sections -fdata-sections)

if(PROJECT_IS_TOP_LEVEL OR CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
    add_executable({name}_example EXCLUDE_FROM_ALL example/main.c)
    target_link_libraries({name}_example PRIVATE {name})
    if(NOT CMAKE_CROSSCOMPILING)
        set_target_properties({name}_example PROPERTIES EXCLUDE_FROM_ALL OFF)
    endif()
endif()
"""


def _toolchain(package: Package) -> str:
    return f"""# {package.device}, with arm-none-eabi-gcc from the PATH
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_FLAGS_INIT "{" ".join(package.flags)} -ffreestanding")
"""
