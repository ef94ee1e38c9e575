"""Programs that mean harm, or mean to pass without solving anything, and what their verdicts say."""

from __future__ import annotations

from textwrap import dedent

ANYTHING = ""
PROGRAMS = {
    "an endless loop": (
        """
        def f(x):
            while True:
                pass
        """,
        "out of time",
    ),
    "endless prints": (
        """
        def f(x):
            while True:
                print("x" * 10**6)
        """,
        "out of time",
    ),
    "endless output on every descriptor": (
        """
        import os
        def f(x):
            while True:
                for d in range(64):
                    try: os.write(d, b"x" * 10**6)
                    except OSError: pass
        """,
        ANYTHING,
    ),
    "a memory hog": (
        """
        def f(x):
            return len("x" * 10**10)
        """,
        "MemoryError",
    ),
    "a fork bomb": (
        """
        import os
        while True:
            try: os.fork()
            except OSError: pass
        """,
        "out of time",
    ),
    "files without end": (
        """
        def f(x):
            for i in range(10**6):
                with open(f"/tmp/{i}", "wb") as file:
                    file.write(b"x" * 2**24)
        """,
        "OSError",
    ),
    "exit 0 while it is read": (
        """
        import sys
        sys.exit(0)
        """,
        "SystemExit",
    ),
    "exit 0 at once": (
        """
        import os
        os._exit(0)
        """,
        "exited before",
    ),
    "exit 0 when it is called": (
        """
        import os
        def f(x):
            os._exit(0)
        """,
        "exited before",
    ),
    "an object that equals everything": (
        """
        class A:
            def __eq__(self, other): return True
            def __bool__(self): return True
        def f(x):
            return A()
        """,
        "AssertionError",
    ),
    "a number that equals everything": (
        """
        class A(int):
            def __eq__(self, other): return True
        def f(x):
            return A(0)
        """,
        "AssertionError",
    ),
    "no end on any signal": (
        """
        import signal
        for s in range(1, 32):
            try: signal.signal(s, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True:
            pass
        """,
        "out of time",
    ),
    "killing its parent and everybody": (
        """
        import os
        os.kill(os.getppid(), 9)
        os.kill(-1, 9)
        def f(x):
            return x
        """,
        ANYTHING,
    ),
    "forging a verdict": (
        """
        import os
        def f(x):
            for d in range(64):
                try: os.write(d, b'{"passed": true}\\n{"value": 2}\\n')
                except OSError: pass
            return 0
        """,
        ANYTHING,
    ),
    "patching the checker": (
        """
        import sys
        for module in list(sys.modules.values()):
            for name in ("examine", "told", "encode", "decode", "serve"):
                if hasattr(module, name):
                    setattr(module, name, lambda *a, **k: {"passed": True})
        def f(x):
            return 0
        """,
        ANYTHING,
    ),
    "importing the checker": (
        """
        import guest
        guest.examine = None
        def f(x):
            return 0
        """,
        ANYTHING,
    ),
    "builtins that lie": (
        """
        import builtins
        builtins.AssertionError = StopIteration
        def f(x):
            return 0
        """,
        "AssertionError",
    ),
    "raising what the tests expect": (
        """
        def f(x):
            raise AssertionError
        """,
        "AssertionError",
    ),
    "a text that equals everything": (
        """
        class A(str):
            def __eq__(self, other): return True
        def f(x):
            return A("")
        """,
        "AssertionError",
    ),
    "a class that equals everything": (
        """
        class M(type):
            def __eq__(cls, other): return True
            __hash__ = type.__hash__
        class A(metaclass=M): pass
        def f(x):
            return A
        """,
        "AssertionError",
    ),
    "a dict that lies about its module": (
        """
        import collections
        class A(collections.OrderedDict):
            def __eq__(self, other): return True
        A.__module__ = "collections"
        def f(x):
            return A()
        """,
        "AssertionError",
    ),
    "SystemExit when it is called": (
        """
        def f(x):
            raise SystemExit(0)
        """,
        "SystemExit",
    ),
    "KeyboardInterrupt when it is called": (
        """
        def f(x):
            raise KeyboardInterrupt
        """,
        "KeyboardInterrupt",
    ),
    "an error that exits when it is shown": (
        """
        import os
        class E(Exception):
            def __str__(self): os._exit(0)
        def f(x):
            raise E
        """,
        "exited before",
    ),
    "exit 0 by an alarm": (
        """
        import os, signal
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.alarm(1)
        def f(x):
            while True:
                pass
        """,
        "exited before",
    ),
    "looking for the tests in frames and in memory": (
        """
        import gc, sys
        def f(x):
            frame, seen = sys._getframe(), [str(each) for each in gc.get_objects() if isinstance(each, dict)]
            while frame:
                seen.append(str(frame.f_locals))
                frame = frame.f_back
            return x + 1 if any("assert " + "candidate" in each for each in seen) else 0
        """,
        "AssertionError",
    ),
    "answering through its caller's frame": (
        """
        import sys
        def f(x):
            frame = sys._getframe()
            while frame:
                for value in list(frame.f_locals.values()):
                    if getattr(value, "__name__", "") == "exchange":
                        value({"passed": True})
                frame = frame.f_back
            return 0
        """,
        ANYTHING,
    ),
    "patching json and os": (
        """
        import json, os
        dumps, write = json.dumps, os.write
        json.dumps = lambda message, **_: dumps({"passed": True})
        os.write = lambda descriptor, data: write(descriptor, b'{"passed": true}\\n') and len(data)
        def f(x):
            return 0
        """,
        ANYTHING,
    ),
    "patching unittest and every assert method": (
        """
        import unittest
        for name in dir(unittest.TestCase):
            if name.startswith("assert"):
                setattr(unittest.TestCase, name, lambda *_, **__: None)
        def f(x):
            return 0
        """,
        "AssertionError",
    ),
    "writing to the descriptors of all processes": (
        """
        import os
        def f(x):
            for process in filter(str.isdigit, os.listdir("/proc")):
                for d in range(16):
                    try:
                        with open(f"/proc/{process}/fd/{d}", "wb", buffering=0) as file:
                            file.write(b'{"passed": true}\\n')
                    except OSError: pass
            return 0
        """,
        ANYTHING,
    ),
    "becoming another program": (
        """
        import os, sys
        def f(x):
            os.execv(sys.executable, [sys.executable, "-c", "print('{\\"passed\\": true}')"])
        """,
        ANYTHING,
    ),
    "writing into memory that ints live in": (
        """
        import ctypes
        def f(x):
            ctypes.memmove(id(2) + 24, id(0) + 24, 4)
            return 0
        """,
        ANYTHING,
    ),
}
HOSTILE = {name: (dedent(program), said) for name, (program, said) in PROGRAMS.items()}
