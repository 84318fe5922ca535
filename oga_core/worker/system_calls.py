"""Which of Linux's system calls the jail refuses: their numbers on x86_64 and on aarch64, and why."""

from __future__ import annotations

# name: (x86_64, aarch64), as in the kernel's headers; None where an architecture lacks the call
Numbers = tuple[int | None, int | None]

_PROCESSES: dict[str, Numbers] = {
    **{"execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "uselib": (134, None)},
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_open": (434, 434)},
    **{"pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "tkill": (200, 130)},
    **{"rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140)},
    **{"sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274)},
    **{"ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239)},
}
_SOCKETS: dict[str, Numbers] = {
    **{"socketpair": (53, 199), "connect": (42, 203), "accept": (43, 202), "accept4": (288, 242)},
    **{"sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269)},
    **{"recvfrom": (45, 207), "recvmsg": (47, 212), "recvmmsg": (299, 243)},
}
_MESSAGES: dict[str, Numbers] = {
    **{"shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193)},
    **{"semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188)},
    **{"msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181)},
}
# Landlock leaves a file's mode, owner, times and attributes alone, and what happens to files elsewhere can be watched.
_FILES: dict[str, Numbers] = {
    **{"chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None)},
    **{"fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6)},
    **{"fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16)},
    **{"utimensat": (280, 88), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None)},
    **{"open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "lookup_dcookie": (212, 18)},
    **{"mknod": (133, None), "mknodat": (259, 33), "quotactl": (179, 60), "quotactl_fd": (443, 443)},
    **{"fanotify_init": (300, 262), "fanotify_mark": (301, 263), "inotify_init": (253, None)},
    **{"inotify_init1": (294, 26), "inotify_add_watch": (254, 27)},
    "truncate": (76, 45),  # of which landlock knows nothing before Linux 6.2
}
_SYSTEM: dict[str, Numbers] = {
    **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97)},
    **{"setns": (308, 268), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430)},
    **{"fsmount": (432, 432), "fsconfig": (431, 431), "fspick": (433, 433), "mount_setattr": (442, 442)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "personality": (135, 92)},
    **{"keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "syslog": (103, 116)},
    **{"init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104)},
    **{"kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "acct": (163, 89)},
    **{"settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266)},
    **{"setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143)},
    **{"setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159), "setfsuid": (122, 151)},
    **{"setfsgid": (123, 152), "capset": (126, 91), "sethostname": (170, 161), "setdomainname": (171, 162)},
    **{"iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "vhangup": (153, 58)},
    **{"memfd_secret": (447, 447)},  # its pages count for no limit
}
DENIED: dict[str, Numbers] = {**_PROCESSES, **_SOCKETS, **_MESSAGES, **_FILES, **_SYSTEM}

# cuInit opens a socket of this machine and listens to it: without bind, listen, or the name that it then gives a thread
# it fails with error 304 (an H100, driver 580). It also does without memfd_create there; driver 570 is reported to fail
# without, and the pages of such unnamed files count for no limit, so nobody else has it.
FOR_ACCELERATORS: dict[str, Numbers] = {"bind": (49, 200), "listen": (50, 201), "memfd_create": (319, 279)}

# Calls that depend on an argument; seccomp.py says how. A filter can't see the arguments of openat2.
OPEN = (2, None)
OPENAT = (257, 56)
OPENAT2 = (437, 437)
CLONE = (56, 220)
CLONE3 = (435, 435)
SOCKET = (41, 198)
KILL = (62, 129)
TGKILL = (234, 131)
PRLIMIT = (302, 261)
SCHED_SETAFFINITY = (203, 122)
PRCTL = (157, 167)
FCNTL = (72, 25)
IOCTL = (16, 29)
SECCOMP = (317, 277)

# The last call of Linux 6.10, mseal. What came after it can change what landlock does not see (setxattrat, 463, to
# file_setattr, 469), and nobody knows what the next will do; libraries take the older call where one is not there.
NEWEST_KNOWN = 462
