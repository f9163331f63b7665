"""Becomes another program, which the kernel kills when the parent's thread ends: `… PARENT_PID COMMAND ARGUMENT…`.

A program of its own, started with `python -I -S`, because code between fork and exec of a process with
threads may hang. The process id stays: what is measured and signalled is the program itself. On systems
other than Linux it only becomes the program.
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
        if os.getppid() != parent:  # it ended before the kernel was told
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
