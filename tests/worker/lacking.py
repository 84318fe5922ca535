"""A program: run a command on a kernel that seems to lack some system calls, as older ones and some containers do.

python lacking.py 444,317 oga score …   (landlock_create_ruleset and seccomp, on x86_64)
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

from oga_core.worker import seccomp

if __name__ == "__main__":
    code = [seccomp._load(seccomp._NUMBER)]
    for number in map(int, sys.argv[1].split(",")):
        code += [seccomp._unless(seccomp._EQUAL, number, 1), seccomp._answer(seccomp._UNKNOWN_CALL)]
    program = b"".join([*code, seccomp._answer(seccomp._ALLOW)])
    libc = ctypes.CDLL(None)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    assert libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    assert libc.prctl(set_seccomp, filter_mode, header, 0, 0) == 0
    os.execvp(sys.argv[2], sys.argv[2:])
