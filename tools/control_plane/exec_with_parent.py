"""Replaces itself by a program that the kernel kills when the parent's thread ends: `… PARENT_PID COMMAND ARGUMENT…`.

It is a separate program, started with `python -I -S`, because code between fork and exec of a process with threads may
hang. The process id does not change, so measurements and signals apply to the program itself. On systems other than
Linux it only executes the program.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the request to the kernel
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
