"""The Mac's driver against a recorder: what is called, in which order, with what. Nothing here touches an engine."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowered import mlp

from netwright.devices.ane import profile
from netwright.devices.ane.device import lowered
from netwright.devices.ane.engines import open_engine
from netwright.devices.ane.execute import prepare
from netwright.devices.ane.macos import LABEL, Macos
from netwright.devices.ane.macos import engine as driver
from netwright.devices.ane.macos.objc import Failure, Object, ObjectiveC, check_platform
from netwright.devices.ane.mil import TensorType, parse, to_text
from netwright.devices.ane.simulator import BAD_SURFACE, OK, Kernel, Simulator, Surface
from netwright.devices.ane.simulator.kernel import weight_files
from netwright.devices.ane.simulator.machine import hex_id
from netwright.errors import UserError
from netwright.graph import Store

M4 = profile.load("m4max-orion")
ABSENT = sys.platform != "darwin"


class Recorder:
    """A run time whose objects are Python's: notes every message, and evaluates with the executor.

    Attributes:
        calls: selectors and words in order.
        failing: selector -> what its call fails with.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, list[str]()
        self.failing: dict[str, Failure] = {}
        self.objects: list[Any] = [None]
        self.kept: dict[int, int] = {}
        self.locked: set[int] = set()
        self.loaded: dict[int, Any] = {}
        self.baked = False  # what is loaded again is what was compiled
        self.compiled: dict[int, Any] = {}

    @contextmanager
    def pool(self) -> Iterator[None]:
        yield

    def made(self, value: Any) -> Object:
        self.objects.append(value)
        return Object(len(self.objects) - 1)

    def find(self, name: str) -> Object:
        return self.made(name)

    def value(self, value: Any) -> Object:
        return value if isinstance(value, Object) else self.made(value)

    def text(self, string: Object) -> str:
        return str(self.objects[string])

    def retain(self, object: Object) -> Object:
        self.kept[object] = self.kept.get(object, 0) + 1
        return object

    def release(self, object: Object) -> None:
        self.kept[object] -= 1

    def send(self, receiver: Object, selector: str, *arguments: Any) -> Object | None:
        self.calls.append(selector.partition(":")[0])
        if selector in self.failing:
            return None
        given = [self.objects[a] if isinstance(a, Object) else a for a in arguments]
        if selector == driver.DESCRIBE:
            assert self.objects[receiver] == "_ANEInMemoryModelDescriptor" and given[2] is None
            return self.made({"text": given[0], "weights": given[1]})
        if selector == "inMemoryModelWithDescriptor:":
            assert self.objects[receiver] == "_ANEInMemoryModel"
            return self.made(given[0])
        if selector == "hexStringIdentifier":
            return self.made(hex_id(self.objects[receiver]["text"], self.objects[receiver]["weights"]))
        if selector == "objectWithIOSurface:":
            assert self.objects[receiver] == "_ANEIOSurfaceObject"
            return self.made(given[0])
        assert selector == driver.REQUESTED and self.objects[receiver] == "_ANERequest"
        assert given[1] == list(range(len(given[0]))) and given[3] == list(range(len(given[2]))) and given[4:] == [None, None, 0]
        return self.made([[self.objects[s] for s in side] for side in (given[0], given[2])])

    def attempt(self, receiver: Object, selector: str, *arguments: int) -> Failure | None:
        self.calls.append(selector.partition("With")[0])
        assert arguments[0] == driver.QUALITY == 21
        if selector in self.failing:
            return self.failing[selector]
        model = self.objects[receiver]
        folder = self.folder / hex_id(model["text"], model["weights"])
        if selector.startswith("compile"):
            assert (folder / "model.mil").read_bytes() == model["text"]
            for path, held in model["weights"].items():
                assert held == {"offset": 0, "data": (folder / path.removeprefix("@model_path/")).read_bytes()}
            self.compiled[receiver] = prepare(parse(model["text"]), folder, M4.numerics)
        elif selector.startswith("load"):
            fresh = self.compiled[receiver] if self.baked else prepare(parse(model["text"]), folder, M4.numerics)
            self.loaded[receiver] = fresh
        elif selector.startswith("unload"):
            del self.loaded[receiver]
        else:
            ins, outs = self.objects[arguments[2]]
            program = self.loaded[receiver]
            variables = sorted(program.inputs, key=lambda v: v.name)
            made = program.run({v.name: _read(v.type, s) for v, s in zip(variables, ins, strict=True)})
            for name, surface in zip(sorted(made), outs, strict=True):
                raw = np.ascontiguousarray(made[name]).reshape(-1).view(np.uint8)
                surface[: raw.size] = raw
        return None

    def surface(self, properties: dict[str, int]) -> Object:
        assert properties["IOSurfaceWidth"] == properties["IOSurfaceAllocSize"] and properties["IOSurfaceHeight"] == 1
        return self.retain(self.made(np.zeros(properties["IOSurfaceAllocSize"], np.uint8)))

    def lock(self, surface: Object, read_only: bool) -> int:
        self.calls.append(f"lock {'out' if read_only else 'in'}")
        self.locked.add(surface)
        return int(self.objects[surface].ctypes.data)

    def unlock(self, surface: Object, read_only: bool) -> None:
        self.calls.append("unlock")
        self.locked.remove(surface)


def _read(type: TensorType, raw: np.ndarray) -> np.ndarray:
    return raw[: type.bytes].view({"fp16": np.float16, "fp32": np.float32}[type.dtype]).reshape(type.shape)


DESCRIBED = ["modelWithMILText", "inMemoryModelWithDescriptor", "hexStringIdentifier", "compile", "load"]
REQUEST = ["objectWithIOSurface", "objectWithIOSurface", "requestWithInputs"]
CALL = ["lock in", "unlock", "evaluate", "lock out", "unlock"]


def test_a_program_lives_in_the_published_order_of_calls_and_leaves_nothing(tmp_path: Path) -> None:
    runtime, graph = Recorder(tmp_path), mlp()
    engine = Macos(M4, runtime=runtime, folder=tmp_path)
    kernel = Kernel.of(engine, lowered(graph, M4))
    assert runtime.calls == DESCRIBED and len(list(tmp_path.iterdir())) == 1
    x = np.random.default_rng(0).standard_normal((1, 32)).astype(np.float32)
    (y,) = kernel.run(x)
    simulated = Kernel.of(Simulator(M4), lowered(graph, M4))
    assert y.tobytes() == simulated.run(x)[0].tobytes()
    for again in (kernel, simulated):
        again.run(x)
    assert runtime.calls == [*DESCRIBED, *REQUEST, *CALL, *CALL]
    kernel.close()
    assert runtime.calls[-1] == "unload" and list(tmp_path.iterdir()) == []
    assert not runtime.locked and set(runtime.kept.values()) == {0}
    assert engine.log == [LABEL] and engine.compiles == 1 and engine.measured_ms > 0
    assert engine.elapsed_ms == simulated.simulator.elapsed_ms


def test_new_weights_are_reloaded_and_programs_of_one_text_are_kept_apart(tmp_path: Path) -> None:
    runtime, graph = Recorder(tmp_path), mlp()
    engine = Macos(M4, runtime=runtime, folder=tmp_path)
    first, second = (Kernel.of(engine, lowered(graph, M4)) for _ in range(2))
    assert len(list(tmp_path.iterdir())) == 2
    changed = graph.with_store(Store({n: graph.store[n] * np.float32(2) for n in graph.store}))
    runtime.calls.clear()
    engine.reload(second._handle, weight_files(lowered(changed, M4).weights))
    assert runtime.calls == ["unload", "load"] and engine.compiles == 2
    x = np.ones((1, 32), np.float32)
    assert np.abs(second.run(x)[0] - changed.run(x)[0]).max() < 0.05
    first.close()
    second.close()


def test_a_probe_proves_new_weights_on_an_engine_that_is_not_exact(tmp_path: Path) -> None:
    graph = mlp()
    changed = graph.with_store(Store({n: graph.store[n] * np.float32(2) for n in graph.store}))
    same, new = (weight_files(lowered(g, M4).weights) for g in (graph, changed))
    for baked, how in ((False, ["reload", "reload"]), (True, ["reload", "recompile"])):
        runtime = Recorder(tmp_path / str(baked))
        runtime.baked = baked
        kernel = Kernel.of(Macos(M4, runtime=runtime, folder=runtime.folder), lowered(graph, M4))
        assert [kernel.update(same), kernel.update(new)] == how
        x = np.ones((1, 32), np.float32)
        assert np.abs(kernel.run(x)[0] - changed.run(x)[0]).max() < 0.05
        kernel.close()
        assert list(runtime.folder.iterdir()) == [] and set(runtime.kept.values()) == {0}


def test_what_the_engine_refuses_is_one_line_and_leaves_no_folder(tmp_path: Path) -> None:
    runtime = Recorder(tmp_path)
    engine = Macos(M4, runtime=runtime, folder=tmp_path)
    made = lowered(mlp(), M4)
    text, files = to_text(made.program).encode(), weight_files(made.weights)
    runtime.failing = {"compileWithQoS:options:error:": Failure(7, "")}
    with pytest.raises(UserError, match=r"refuses the program \(7\): it says nothing; `netwright mil lint`"):
        engine.compile(text, files)
    runtime.failing = {driver.DESCRIBE: Failure(0, "")}
    with pytest.raises(UserError, match="takes no such program"):
        engine.compile(text, files)
    assert list(tmp_path.iterdir()) == [] and set(runtime.kept.values()) == {0}
    runtime.failing = {"loadWithQoS:options:error:": Failure(3, "no room")}
    handle = engine.compile(text, files)
    with pytest.raises(UserError, match=r"cannot be loaded \(3\): no room"):
        engine.load(handle)
    with pytest.raises(UserError, match="not loaded"):
        engine.evaluate(handle, [], [])
    runtime.failing = {driver.REQUESTED: Failure(0, "")}
    engine.load(handle)
    with pytest.raises(UserError, match="no request"):
        engine.evaluate(handle, [Surface(100)], [Surface(100)])
    engine.unload(handle)
    runtime.failing = {"evaluateWithQoS:options:request:error:": Failure(5, "ANE: status=0x1d: refused")}
    engine.load(handle)
    with pytest.raises(UserError, match="1 inputs and 1 outputs"):
        engine.evaluate(handle, [], [])
    assert engine.evaluate(handle, [Surface(100)], [Surface(100)]) == BAD_SURFACE and "0x1d" in engine.log[-1]
    engine.delete(handle)
    for bad in ((text.decode(), files), (text, None)):
        with pytest.raises(UserError, match=r"R9.*R11"):
            engine.compile(*bad)
    with pytest.raises(UserError, match="R5"):
        Macos(M4, M4.compile_budget, runtime=runtime, folder=tmp_path).compile(text, files)
    with pytest.raises(UserError, match="leaves"):
        engine.compile(text, {"../../w.bin": b""})
    assert list(tmp_path.iterdir()) == [] and set(runtime.kept.values()) == {0}


def test_arguments_are_built_as_the_engine_wants_them(tmp_path: Path) -> None:
    assert driver.weight_dictionary({}) == {}  # empty, not null
    (tmp_path / "w").write_bytes(b"b")
    assert driver.weight_dictionary({"a.bin": b"a", "b.bin": tmp_path / "w"}) == {
        "@model_path/a.bin": {"offset": 0, "data": b"a"}, "@model_path/b.bin": {"offset": 0, "data": b"b"}}
    text = to_text(lowered(mlp(), M4).program).encode()
    moved, files = driver.distinct(text, {"weights/weight.bin": b""}, "p7")
    assert list(files) == ["p7/weights/weight.bin"] and text != moved
    assert moved.replace(b"@model_path/p7/", b"@model_path/") == text and parse(moved)
    assert driver.distinct(text, {}, "p7") == (text, {})
    program = parse(b"program(1.3) { func main<ios18>(fp16 b, fp16 a) { } -> (b, a); }")
    assert driver.bound(program) == (["a", "b"], ["a", "b"])
    assert driver.surface_properties(49_152)["IOSurfaceBytesPerRow"] == 49_152
    with pytest.raises(ValueError):
        driver.surface_properties(0)
    driver.lay_out(tmp_path / "out", b"text", {"a/b.bin": b"b"})
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*")) == ["a", "a/b.bin", "model.mil"]
    assert [driver.status(f) for f in (None, Failure(9, ""), Failure(0, ""), Failure(2, "Status = 0x1D."))] == [OK, 9, 1, 0x1D]


class Messages(ObjectiveC):
    """The run time without its libraries: a class is a number, a message is noted, memory is read at once."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.error = 0

    def find(self, name: str) -> Object:
        self.sent.append((name, None))
        return Object(len(self.sent))

    def _message(self, result: Any, receiver: Object, selector: str, arguments: tuple[Any, ...]) -> Any:
        seen: Any = [int(a) for a in arguments]
        if selector == "dataWithBytes:length:":
            seen = ctypes.string_at(arguments[0], arguments[1])
        if selector == "stringWithUTF8String:":
            seen = ctypes.string_at(arguments[0])
        if selector == "try:error:" and self.error:
            ctypes.c_void_p.from_address(arguments[1]).value = self.error
        self.sent.append((selector, seen))
        return {"UTF8String": "wörds".encode(), "code": 29, "try:error:": not self.error}.get(selector, 1000 + len(self.sent))


def test_values_become_objects_with_all_their_bytes() -> None:
    runtime = Messages()
    runtime.value({"é": {"offset": 0, "data": b"a\0b"}, "n": [Object(5), 7]})
    said = [seen for selector, seen in runtime.sent if selector in ("stringWithUTF8String:", "dataWithBytes:length:", "numberWithUnsignedLongLong:")]
    assert sorted(map(str, said)) == sorted(map(str, ["é".encode(), b"offset", [0], b"data", b"a\0b", b"n", [7]]))
    assert [5] in [seen for selector, seen in runtime.sent if selector == "addObject:"]
    assert [s for s, _ in runtime.sent].count("setObject:forKey:") == 4 and runtime.value(Object(9)) == 9


def test_an_error_is_read_where_there_is_one() -> None:
    runtime = Messages()
    assert runtime.attempt(Object(1), "try:error:", 21) is None
    runtime.error = 77
    assert runtime.attempt(Object(1), "try:error:", 21) == Failure(29, "wörds")


def test_the_platform_is_checked_before_anything_else() -> None:
    check_platform("darwin", "arm64")
    for system, machine in (("linux", "x86_64"), ("darwin", "x86_64")):
        with pytest.raises(UserError, match=f"needs a Mac with Apple silicon, this is {system} on {machine}"):
            check_platform(system, machine)
    with pytest.raises(UserError, match="no engine is called 'macs'; did you mean 'macos'"):
        open_engine("macs", M4)


@pytest.mark.skipif(not ABSENT, reason="there may be an engine here")
def test_generate_says_in_one_line_that_there_is_no_engine(shared_data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "netwright", "generate", str(shared_data / "stories260k" / "stories260K.bin"), "--engine", "macos"]
    for mode, words in (("ane", "needs a Mac with Apple silicon"), ("cpu", "needs --mode ane")):
        done = subprocess.run([*command, "--mode", mode], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
