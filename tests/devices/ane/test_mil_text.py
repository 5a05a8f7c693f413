"""MIL text: printing and parsing are inverse, errors say where, and nothing but a UserError comes of a damaged text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mil_programs import Writer, attention, causal, gelu_tanh, layer_norm, rms_norm, swiglu

from netwright.devices.ane.execute import prepare
from netwright.devices.ane.mil import (
    DTYPES,
    BlobFile,
    Constant,
    Function,
    Program,
    Statement,
    TensorType,
    Variable,
    boolean,
    difference,
    parse,
    string,
    to_text,
)
from netwright.errors import UserError

TEXT = """program(1.3)
[buildInfo = dict<string, string>({{"coremlc-component-MIL", "3510.2.1"}, {"coremlc-version", "3505.4.1"}})]
{
    func main<ios18>(tensor<fp16, [1,4]> x) {
        fp16 c = const()[name=string("c"), val=fp16(0.125)];
        tensor<int32, [2]> r = const()[name=string("r"), val=tensor<int32, [2]>([2,1])];
        tensor<fp16, [1,4]> y = mul(x=x, y=c)[name=string("y")];
        tensor<fp16, [2,4]> z = tile(reps=r, x=y)[name=string("z")];
    } -> (z);
}
"""

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
types = st.builds(TensorType, st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 3), max_size=4).map(tuple))


@st.composite
def constants(draw: st.DrawFn) -> Constant:
    type = draw(types)
    dtype = DTYPES[type.dtype]
    if dtype is None:
        return Constant(type, tuple(draw(st.lists(st.text(st.characters(codec="utf-8")), min_size=type.size, max_size=type.size))))
    bits = draw(st.binary(min_size=type.bytes, max_size=type.bytes))
    array = np.frombuffer(bits, dtype) if dtype != np.bool_ else np.frombuffer(bits, np.uint8) % 2 == 1
    words = type.dtype == "fp16" and type.size > 0 and draw(st.booleans())
    return Constant(type, tuple(array.tolist()), words)


values = st.one_of(constants(), st.builds(BlobFile, types, st.text(st.characters(codec="utf-8")), st.integers(0, 2**60)))
arguments = st.one_of(names, values, st.lists(st.one_of(names, values), min_size=1, max_size=3).map(tuple))
variables = st.builds(Variable, names, types)


def some(of: st.SearchStrategy, least: int = 0) -> st.SearchStrategy:
    return st.lists(of, min_size=least, max_size=3).map(tuple)


statements = st.builds(Statement, some(variables, 1), names, some(st.tuples(names, arguments)), some(st.tuples(names, values)))
functions = st.builds(Function, names, names, some(variables), some(statements), some(names, 1))
programs = st.builds(Program, some(functions), st.just("1.3"))


@given(programs)
@settings(max_examples=150, deadline=None)
def test_printing_and_parsing_are_inverse(program: Program) -> None:
    text = to_text(program)
    again = parse(text)
    assert to_text(again) == text
    if "nan" not in text and "0x7" not in text and "0xf" not in text:  # a NaN is not equal to itself
        assert again == program


@pytest.mark.parametrize("kernel", ["attention", "swiglu", "gpt2"])
def test_kernels_survive_the_round_trip(kernel: str, tmp_path: Path) -> None:
    program = block(kernel, tmp_path)
    text = to_text(program)
    assert parse(text) == program and to_text(parse(text)) == text
    assert not difference(program, parse(text))


def block(kernel: str, folder: Path, d: int = 32, s: int = 16) -> Program:
    rng = np.random.default_rng(3)
    w = Writer(folder)
    x = w.input("x", 1, d, 1, s)
    matrix = lambda o, i: rng.normal(size=(o, i)) / np.sqrt(i)  # noqa: E731
    if kernel == "attention":
        n = rms_norm(w, x, np.ones(d))
        q, k, v = (w.linear(n, matrix(d, d)) for _ in range(3))
        return w.program(w.linear(attention(w, q, k, v, 4, causal(s)), matrix(d, d)))
    if kernel == "swiglu":
        return w.program(w.op("add", x=x, y=swiglu(w, rms_norm(w, x, np.ones(d)), matrix(2 * d, d), matrix(d, 2 * d), matrix(2 * d, d))))
    n = layer_norm(w, x, np.ones(d), np.zeros(d))
    return w.program(w.linear(gelu_tanh(w, w.linear(n, matrix(4 * d, d))), matrix(d, 4 * d)))


def test_the_text_is_the_text() -> None:
    assert to_text(parse(TEXT)) == TEXT


def test_spaces_line_ends_and_other_spellings_are_free() -> None:
    loose = TEXT.replace("=", " = ").replace("[1,4]", "[ 1 ,\r\n 4 ]").replace("0.125", "0x1.0000000000000p-3").replace("- >", "->")
    assert to_text(parse(loose.replace(" = x", "=x"))) == TEXT


def test_hexadecimal_words_are_fp16_bits() -> None:
    text = TEXT.replace("fp16(0.125)", "fp16(0x3000)")
    (value,) = [s.attribute("val") for s in parse(text).function().statements if s.name == "c"]
    assert isinstance(value, Constant) and value.values == (0.125,) and value.words
    assert to_text(parse(text)) == text


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [  # § marks the place that the error must name
        ("program(1.3)", "program§[1.3)", "expected '('"),
        ("program(1.3)", "program(§-1.3)", "expected a version number"),
        ("(1.3)\n[buildInfo", "(1.3)\n[§4", "expected the name of an attribute"),
        ("func main", "§fun main", "expected 'func' or '}'"),
        ("<ios18>", "<§18>", "expected an opset"),
        ("[1,4]> x)", "[1,§?]> x)", "unexpected character '?'"),
        ("[1,4]> x)", "[1,§-4]> x)", "expected the size of an axis"),
        ("[1,4]> x)", "[1,§99999999999]> x)", "expected the size of an axis"),
        ("tensor<fp16, [1,4]> x", "tensor<§fp17, [1,4]> x", "expected a type"),
        ("fp16(0.125)", "fp16(§1e9)", "expected a number that fits fp16"),
        ("fp16(0.125)", "fp16(§true)", "expected a number, found 'true'"),
        ("fp16(0.125)", "fp16(§0x12345)", "expected a word of 16 bits"),
        ("fp16(0.125)", "fp16(0.125§", "expected ')'"),
        ('string("c")', "string(§c)", "expected a string in quotes"),
        ('string("c")', 'string(§"c)', "unexpected character"),
        ("([2,1])", "([2§])", "expected ',' and 1 more elements of this axis of 2"),
        ("([2,1])", "([2,1§,1])", "expected ']'"),
        ("([2,1])", "([2,§1.5])", "expected a whole number of int32"),
        ("([2,1])", "([2,§3000000000])", "expected a whole number of int32"),
        ("mul(x=x,", "mul(x §x,", "expected '='"),
        ("mul(x=x,", "mul(x=§,", "expected the name of a value"),
        ('[name=string("y")];\n        ', '[name=string("y")]\n        §', "expected ';'"),
        ("-> (z);", "-> (§);", "expected the name of an output"),
        ("-> (z);\n}\n", "-> (z);\n§", "expected 'func' or '}', found the end of the text"),
        ("-> (z);\n}\n", "-> (z);\n}\n§}", "expected nothing after"),
    ],
)
def test_damage_is_named_with_line_and_column(before: str, after: str, expected: str) -> None:
    assert before in TEXT
    damaged = TEXT.replace(before, after, 1)
    lines = damaged[: damaged.index("§")].split("\n")
    with pytest.raises(UserError) as error:
        parse(damaged.replace("§", ""), "model.mil")
    place = f"model.mil, line {len(lines)}, column {len(lines[-1]) + 1}: "
    assert str(error.value).startswith(place + expected), error.value
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_utf8_are_named_with_their_place() -> None:
    with pytest.raises(UserError, match="line 4, column 7: expected UTF-8"):
        parse(TEXT.encode().replace(b"func", b"fu\xffnc"), "m")


def test_deep_nesting_and_many_axes_are_refused() -> None:
    for inside in ("[" + "1," * 30 + "1]", "[1]" * 3):
        with pytest.raises(UserError):
            parse(TEXT.replace("[1,4]", inside, 1))
    with pytest.raises(UserError):
        parse(TEXT.replace("([2,1])", "(" + "[" * 5000))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_text_gives_a_program_or_a_user_error(data: st.DataObject) -> None:
    text = bytearray(TEXT.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        what = data.draw(st.sampled_from(["flip", "drop", "repeat", "insert"]))
        if what == "flip":
            text[at] = data.draw(st.integers(0, 255))
        elif what == "drop":
            del text[at : at + data.draw(st.integers(1, 30))]
        elif what == "repeat":
            text[at:at] = text[at : at + data.draw(st.integers(1, 30))]
        else:
            text[at:at] = data.draw(st.sampled_from([b"[", b"(", b"0", b"9" * 25, b'"', b"-", b"tensor<", b"x", b";"]))
        if not text:
            return
    try:
        program = parse(bytes(text))
        to_text(program)
        prepare(program).run({v.name: np.ones(v.type.shape) for v in program.function().inputs})
    except UserError as error:
        assert "\n" not in str(error)


def test_a_name_that_mil_cannot_spell_is_refused() -> None:
    x = Variable("a-b", TensorType("fp16"))
    with pytest.raises(UserError, match="not a name"):
        to_text(Program((Function("main", "ios18", (x,), (), ("a-b",)),)))


def test_difference_names_ops_constants_inputs_and_outputs() -> None:
    first = parse(TEXT)
    assert not difference(first, first) and str(difference(first, first)) == "same structure"
    other = TEXT.replace("mul(", "add(").replace("0.125", "0.25").replace("x) {", "u) {").replace("x=x", "x=u").replace("-> (z)", "-> (y)")
    lines = difference(first, parse(other)).lines
    assert [re.split(r"[:(\[]", line)[1].split()[0] for line in lines] == ["op", "op", "constant", "constant", "inputs", "outputs"]
    assert "op add: 0 in the first, 1 in the second" in lines[0]
    assert difference(first, Program(())).lines == ("main: only in the first",)


def test_constants_hold_what_their_type_can_hold() -> None:
    assert Constant.of(0.1, "fp16").values == (0.0999755859375,)
    assert Constant.of(1e9, "fp16").values == (np.inf,)
    assert boolean(True).numpy().tolist() is True and string("a").numpy().tolist() == "a"
