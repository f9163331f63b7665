"""A process on a machine without IPv6: the kernel refuses it every socket of this family, as with `ipv6.disable=1`."""

import ctypes
import errno
import platform
import socket
import struct

_SYSCALL_SOCKET = {"x86_64": 41, "aarch64": 198}
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _IS, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _FIRST_ARGUMENT = 0, 16  # offsets in struct seccomp_data
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_ipv6() -> None:
    """Refuse sockets of IPv6 to this process for good; raises OSError where there is no seccomp."""
    instructions = b"".join(
        struct.pack("HBBI", *each)
        for each in (
            (_LOAD, 0, 0, _NUMBER),
            (_IS, 0, 3, _SYSCALL_SOCKET[platform.machine()]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_IS, 0, 1, int(socket.AF_INET6)),
            (_RETURN, 0, 0, _FAIL | errno.EAFNOSUPPORT),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    program = _Program(len(instructions) // 8, instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "no seccomp")
