"""Starts programs in a cgroup in every way: kills.py CGROUP_PROCS FOLDER WORD_FILE COUNT.

Prints how many were started, how many SIGKILL ended, and how many bytes they wrote: one each, in their first
instructions."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

procs, folder, word_file, count = sys.argv[1:]
with open(word_file, "rb") as file:
    word = file.read()
with open(procs, "w") as file:
    file.write("0")

reader, writer = os.pipe()
fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 1 << 20)
programs = [os.path.join(folder, "writer64"), os.path.join(folder, "writer32")]
contents = [open(program, "rb").read() for program in programs]
script = tempfile.NamedTemporaryFile("w", dir=folder, delete=False)
script.write(f"#!{programs[0]}\n")
script.close()
os.chmod(script.name, 0o755)


def in_memory(which):
    memory = os.memfd_create("harmless")
    os.write(memory, contents[which])
    descriptor = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY)
    os.close(memory)
    return descriptor


def deleted(which):
    descriptor, copy = tempfile.mkstemp(dir=folder)
    os.write(descriptor, contents[which])
    os.fchmod(descriptor, 0o755)
    os.close(descriptor)
    descriptor = os.open(copy, os.O_RDONLY)
    os.unlink(copy)
    return descriptor


def by_thread(which):
    thread = threading.Thread(target=lambda: os.execve(programs[which], arguments, {}))
    thread.start()
    thread.join()


def forked(start):
    child = os.fork()
    if child == 0:
        try:
            os.dup2(writer, 1)
            start()
        finally:
            os._exit(126)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def spawned(which):
    actions = [(os.POSIX_SPAWN_DUP2, writer, 1)]
    child = os.posix_spawn(programs[which], arguments, {}, file_actions=actions)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


arguments = [b"harmless", b"--with", word, b"--and", b"more"]
ways = [
    lambda which: forked(lambda: os.execve(programs[which], arguments, {})),
    lambda which: forked(lambda: os.execve(os.open(programs[which], os.O_RDONLY), arguments, {})),
    lambda which: forked(lambda: os.execve(in_memory(which), arguments, {})),
    lambda which: forked(lambda: os.execve(deleted(which), arguments, {})),
    lambda which: forked(lambda: by_thread(which)),
    lambda which: forked(lambda: os.execve(script.name, arguments, {})),
    spawned,
    lambda which: subprocess.run(arguments, executable=programs[which], stdout=writer, close_fds=False).returncode,
]

killed = 0
wrote = 0
os.set_blocking(reader, False)
for index in range(int(count)):
    status = ways[index % len(ways)]((index // len(ways)) % 2)
    killed += status == -signal.SIGKILL
    if index % 1000 == 999 or index == int(count) - 1:
        try:
            wrote += len(os.read(reader, 1 << 20))
        except BlockingIOError:
            pass
print(json.dumps({"starts": int(count), "killed": killed, "wrote": wrote}))
