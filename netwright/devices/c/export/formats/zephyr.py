"""A Zephyr module: name its folder in EXTRA_ZEPHYR_MODULES or in west.yml, and set CONFIG_NETWRIGHT_<NAME>=y."""

from __future__ import annotations

from ..package import Package
from .cmake import example, readme

ABOUT = "a Zephyr module with a sample application"


def files(package: Package) -> dict[str, str]:
    """Path -> text of the module."""
    name = package.name
    symbol = f"NETWRIGHT_{name.upper()}"
    made = {f"include/{name}.h": package.header}
    made.update({f"src/{file}": text for file, text in package.sources.items()})
    made["zephyr/module.yml"] = f"name: {name}\nbuild:\n  cmake: .\n  kconfig: Kconfig\nsamples:\n  - samples\n"
    made["CMakeLists.txt"] = f"""# built where CONFIG_{symbol}=y
if(CONFIG_{symbol})
    zephyr_include_directories(include)
    zephyr_library_named(netwright_{name})
    zephyr_library_sources(src/{name}.c)
    zephyr_library_include_directories(src)
    # the kernels are made for -O2; sums of a floating-point network round as they were measured
    zephyr_library_compile_options(-O2 -ffp-contract=off)
endif()
"""
    made["Kconfig"] = f"""config {symbol}
    bool "The neural network {name}"
    help
      {name}.h and its C: no heap, no threads, one static arena.
"""
    sample = f"samples/{name}"
    made[f"{sample}/CMakeLists.txt"] = f"""cmake_minimum_required(VERSION 3.20)
list(APPEND EXTRA_ZEPHYR_MODULES ${{CMAKE_CURRENT_SOURCE_DIR}}/../..)
find_package(Zephyr REQUIRED HINTS $ENV{{ZEPHYR_BASE}})
project({name}_sample LANGUAGES C)
target_sources(app PRIVATE src/main.c)
"""
    floating = "float" in (package.input_ctype, package.output_ctype)
    made[f"{sample}/prj.conf"] = f"CONFIG_{symbol}=y\n" + ("CONFIG_FPU=y\n" if floating else "")
    made[f"{sample}/sample.yaml"] = f"""sample:
  name: {name}
tests:
  sample.{name}:
    harness: console
    harness_config:
      type: one_line
      regex:
        - "0: .*"
"""
    made[f"{sample}/src/main.c"] = example(package, "zephyr/kernel.h", "printk")
    how = f"""Name this folder in `EXTRA_ZEPHYR_MODULES` or in your `west.yml`, and set `CONFIG_{symbol}=y` in
`prj.conf`.
The sample alone: `west build -b BOARD {sample}`."""
    made["README.md"] = readme(package, how)
    return made
