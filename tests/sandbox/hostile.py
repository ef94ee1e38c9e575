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
}
HOSTILE = {name: (dedent(program), said) for name, (program, said) in PROGRAMS.items()}
