"""Joins a cgroup and starts a program there: launch.py CGROUP_PROCS WAY PROGRAM ARGUMENTS_FILE.

Prints the exit code, or the signal as a negative number."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading

procs, way, program, arguments_file = sys.argv[1:]
with open(arguments_file, "rb") as file:
    arguments = file.read().split(b"\0")[:-1]


def forked(start):
    child = os.fork()
    if child == 0:
        try:
            with open(procs, "w") as file:
                file.write("0")
            start()
        finally:
            os._exit(126)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_memory():
    memory = os.memfd_create("harmless")
    with open(program, "rb") as file:
        os.write(memory, file.read())
    # Opened again for reading: what is open for writing cannot be started.
    reader = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY)
    os.close(memory)
    return reader


def deleted():
    copy = tempfile.mktemp()
    shutil.copy(program, copy)
    descriptor = os.open(copy, os.O_RDONLY)
    os.unlink(copy)
    return descriptor


def spawned(start):
    """Parents that are in the cgroup themselves: what they spawn is there from the beginning."""

    def spawn_and_pass_on():
        code = start()
        if code < 0:
            os.kill(os.getpid(), -code)
        os._exit(code)

    return forked(spawn_and_pass_on)


def by_thread():
    thread = threading.Thread(target=lambda: os.execve(program, arguments, os.environ))
    thread.start()
    thread.join()


ways = {
    "execve": lambda: forked(lambda: os.execve(program, arguments, os.environ)),
    "fexecve": lambda: forked(lambda: os.execve(os.open(program, os.O_RDONLY), arguments, os.environ)),
    "memfd": lambda: forked(lambda: os.execve(in_memory(), arguments, os.environ)),
    "deleted": lambda: forked(lambda: os.execve(deleted(), arguments, os.environ)),
    "posix_spawn": lambda: spawned(
        lambda: os.waitstatus_to_exitcode(
            os.waitpid(os.posix_spawn(program, arguments, os.environ), 0)[1]
        )
    ),
    "vfork": lambda: spawned(
        lambda: subprocess.run(arguments, executable=program, close_fds=False).returncode
    ),
    "thread": lambda: forked(by_thread),
}
print(ways[way]())
