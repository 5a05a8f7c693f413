"""The Objective-C run time, as far as the engine needs it: messages, values, surfaces. Not verified on hardware.

Every argument of a message is a word of 64 bits here (an object, an unsigned number, an address), which is how Apple
silicon passes them; floating-point arguments are not needed.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from netwright.errors import UserError

ENGINE = "/System/Library/PrivateFrameworks/AppleNeuralEngine.framework/AppleNeuralEngine"
FRAMEWORKS = "/System/Library/Frameworks/{0}.framework/{0}"
READ_ONLY = 1  # the option of IOSurfaceLock that leaves the contents as they are


class Object(int):
    """The address of an object; never 0."""


class Failure(NamedTuple):
    """What an NSError says: its number and its description, which may be empty."""

    code: int
    text: str


def check_platform(system: str, machine: str) -> None:
    """Raises UserError, in one line, unless this is a Mac with Apple silicon."""
    if system != "darwin" or machine != "arm64":
        raise UserError(f"the engine macos needs a Mac with Apple silicon, this is {system} on {machine}; "
                        "the engine simulator runs anywhere")


class ObjectiveC:
    """Messages to classes and objects. Raises UserError where there are none, or the frameworks cannot be loaded."""

    def __init__(self) -> None:
        check_platform(sys.platform, platform.machine())
        try:
            self._objc = ctypes.CDLL("/usr/lib/libobjc.A.dylib")
            ctypes.CDLL(FRAMEWORKS.format("Foundation"))
            self._surfaces = ctypes.CDLL(FRAMEWORKS.format("IOSurface"))
            ctypes.CDLL(ENGINE)
        except OSError as error:
            raise UserError(f"the Neural Engine's framework cannot be loaded: {error}") from None
        word: Any = ctypes.c_void_p
        name: Any = ctypes.c_char_p
        for function, result, *arguments in (
            (self._objc.objc_getClass, word, name), (self._objc.sel_registerName, word, name),
            (self._objc.objc_autoreleasePoolPush, word), (self._objc.objc_autoreleasePoolPop, None, word),
            (self._surfaces.IOSurfaceCreate, word, word), (self._surfaces.IOSurfaceGetBaseAddress, word, word),
            (self._surfaces.IOSurfaceLock, ctypes.c_int, word, ctypes.c_uint32, word),
            (self._surfaces.IOSurfaceUnlock, ctypes.c_int, word, ctypes.c_uint32, word),
        ):  # fmt: skip
            function.restype, function.argtypes = result, list(arguments)

    @contextmanager
    def pool(self) -> Iterator[None]:
        """What is made inside and not retained is gone afterwards."""
        token = self._objc.objc_autoreleasePoolPush()
        try:
            yield
        finally:
            self._objc.objc_autoreleasePoolPop(token)

    def find(self, name: str) -> Object:
        """A class. Raises UserError where this version of macOS has none of that name."""
        found = self._objc.objc_getClass(name.encode())
        if not found:
            raise UserError(f"this version of macOS has no class {name}")
        return Object(found)

    def send(self, receiver: Object, selector: str, *arguments: int | None) -> Object | None:
        """A message that answers with an object, or None."""
        found = self._message(ctypes.c_void_p, receiver, selector, arguments)
        return Object(found) if found else None

    def attempt(self, receiver: Object, selector: str, *arguments: int | None) -> Failure | None:
        """A message whose last argument takes an error and that answers whether it went well; None: it did."""
        error = ctypes.c_void_p()
        if self._message(ctypes.c_bool, receiver, selector, (*arguments, ctypes.addressof(error))):
            return None
        if not error.value:
            return Failure(0, "")
        given = Object(error.value)
        words = self.send(given, "localizedDescription")
        return Failure(int(self._message(ctypes.c_long, given, "code", ())), self.text(words) if words else "")

    def text(self, string: Object) -> str:
        """The characters of an NSString."""
        raw = self._message(ctypes.c_char_p, string, "UTF8String", ())
        return (raw or b"").decode("utf-8", "replace")

    def value(self, value: Any) -> Object:
        """bytes, text, a number, a list or a dictionary of such as an object; an object as it is."""
        if isinstance(value, Object):
            return value
        if isinstance(value, bytes):
            place = ctypes.cast(ctypes.c_char_p(value), ctypes.c_void_p).value
            return self._made("NSData", "dataWithBytes:length:", place, len(value))
        if isinstance(value, str):
            raw = ctypes.c_char_p(value.encode())
            return self._made("NSString", "stringWithUTF8String:", ctypes.cast(raw, ctypes.c_void_p).value)
        if isinstance(value, int):
            return self._made("NSNumber", "numberWithUnsignedLongLong:", value)
        if isinstance(value, dict):
            table = self._made("NSMutableDictionary", "dictionary")
            for key, held in value.items():
                self._message(None, table, "setObject:forKey:", (self.value(held), self.value(key)))
            return table
        array = self._made("NSMutableArray", "array")
        for held in value:
            self._message(None, array, "addObject:", (self.value(held),))
        return array

    def retain(self, object: Object) -> Object:
        """Keeps an object beyond its pool."""
        self._message(ctypes.c_void_p, object, "retain", ())
        return object

    def release(self, object: Object) -> None:
        """Lets go of an object that was retained or made by `surface`."""
        self._message(None, object, "release", ())

    def surface(self, properties: dict[str, int]) -> Object:
        """A new surface. Raises UserError where the system has none left."""
        with self.pool():
            made = self._surfaces.IOSurfaceCreate(self.value(properties))
        if not made:
            raise UserError(f"no surface of {properties['IOSurfaceAllocSize']:,} bytes can be made")
        return Object(made)

    def lock(self, surface: Object, read_only: bool) -> int:
        """Takes the surface for this processor; the address of its bytes."""
        if status := self._surfaces.IOSurfaceLock(surface, READ_ONLY if read_only else 0, None):
            raise UserError(f"a surface cannot be locked (status 0x{status & 0xFFFFFFFF:x})")
        return int(self._surfaces.IOSurfaceGetBaseAddress(surface))

    def unlock(self, surface: Object, read_only: bool) -> None:
        """Gives it back."""
        self._surfaces.IOSurfaceUnlock(surface, READ_ONLY if read_only else 0, None)

    def _made(self, name: str, selector: str, *arguments: int | None) -> Object:
        made = self.send(self.find(name), selector, *arguments)
        if made is None:
            raise UserError(f"{name} {selector}: no object was made")
        return made

    def _message(self, result: Any, receiver: Object, selector: str, arguments: tuple[int | None, ...]) -> Any:
        kinds = [ctypes.c_void_p] * (2 + len(arguments))
        call = ctypes.CFUNCTYPE(result, *kinds)(("objc_msgSend", self._objc))
        return call(receiver, self._objc.sel_registerName(selector.encode()), *arguments)
