"""A script: imports the modules named by a JSON list on stdin, prints what code of ours did meanwhile, as JSON."""

import importlib
import json
import os
import sys
import sysconfig
from collections.abc import Callable

root, names = sys.argv[1], json.loads(sys.stdin.read())
sys.path.insert(0, root)
ours = tuple(os.path.join(root, name) + os.sep for name in ("moebius", "eval"))
library = (sysconfig.get_path("stdlib") + os.sep, "<frozen")
environ = ("<frozen os>", os.__file__, "<frozen _collections_abc>", sys.modules["_collections_abc"].__file__)
found = set()


def record(what: str, between: tuple[str, ...] = library) -> None:
    """Who asked, if the innermost frame outside the files `between` is in a file of ours."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(ours):
            found.add(f"{os.path.relpath(file, root)} {what}")
            return
        if not file.startswith(between) or "site-packages" in file:
            return
        frame = frame.f_back


def audit(event: str, arguments: tuple) -> None:
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        record(f"writes {arguments[0]}")
    elif event in ("os.mkdir", "os.rename", "os.remove", "socket.connect", "subprocess.Popen"):
        record(event)


def recorded(function: Callable, what: str) -> Callable:
    def call(*arguments, **named):
        record(what)
        return function(*arguments, **named)

    return call


read = type(os.environ).__getitem__


def read_variable(variables, key: str) -> str:
    record(f"reads the variable {key}", environ)
    return read(variables, key)


type(os.environ).__getitem__ = read_variable
os.getcwd = recorded(os.getcwd, "asks for the working folder")
os.stat = recorded(os.stat, "looks at a file")
sys.addaudithook(audit)
for name in names:
    importlib.import_module(name)
sys.stdout.write(json.dumps(sorted(found)))
