#!/usr/bin/env bash
# filelock 4.3.1: a FileLock acquired in one thread is not released by release() in another thread, and nothing is raised.
#
# Guess: lock.acquire() in one thread and lock.release() on the same object in another either works or raises an error.
# Seen: the lock's state is thread-local by default, so in the second thread the same object says is_locked == False and
# release() returns without a word; the file stays locked for other processes until the first thread releases it.
# With FileLock(path, thread_local=False) the second thread releases it.
# Why it matters: generators that a web framework advances (Gradio's handlers, a batch with a `with` inside) may begin in
# one worker thread and be closed in another; the folder then stays "in use" for the life of the process.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q filelock==4.3.1
cd "$work"
cat > try.py <<'P'
import subprocess, sys, threading
from filelock import FileLock

def held_for_others(path):
    code = f"from filelock import FileLock, Timeout\ntry:\n    FileLock({path!r}, timeout=0).acquire(); print('free')\nexcept Timeout:\n    print('held')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

def release_elsewhere(lock):
    seen = []
    def work():
        seen.append(lock.is_locked)
        try:
            lock.release()
            seen.append("no error")
        except Exception as error:
            seen.append(type(error).__name__)
    thread = threading.Thread(target=work); thread.start(); thread.join()
    return seen

for name, options in (("default", {}), ("thread_local=False", {"thread_local": False})):
    path = name.replace("=", "_") + ".lock"
    lock = FileLock(path, **options)
    lock.acquire()
    print(name, *release_elsewhere(lock), held_for_others(path))
    lock.release(force=True)
P
"$work/env/bin/python" try.py | tee seen
diff seen - <<'S' || { echo "changed"; exit 1; }
default False no error held
thread_local=False True no error free
S
