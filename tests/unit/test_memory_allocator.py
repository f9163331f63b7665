"""What was needed once goes back to the system: the C library is told so when the operator starts."""

import ctypes
import subprocess
import sys

import pytest

ALLOCATE = """
import ctypes, sys
from clientcert import memory_allocator

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

c = ctypes.CDLL(None)
c.mallinfo2.restype, c.malloc.restype, c.free.argtypes = Info, ctypes.c_void_p, [ctypes.c_void_p]
if "configured" in sys.argv:
    memory_allocator.configure()
c.free(c.malloc(4_000_000))
before = c.mallinfo2().hblkhd
kept = c.malloc(1_000_000)
print(c.mallinfo2().hblkhd - before)
"""
"""Prints the bytes that came from the system for a block of a million, after a larger one was freed."""


def from_the_system(*arguments: str) -> int:
    ran = subprocess.run([sys.executable, "-c", ALLOCATE, *arguments], capture_output=True, text=True, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library than glibc 2.33 or later")
def test_a_large_block_comes_from_the_system_also_after_a_larger_one() -> None:
    """Else it comes from the heap, between small blocks that stay."""
    assert from_the_system("configured") >= 1_000_000
    assert from_the_system() == 0
