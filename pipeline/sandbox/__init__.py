"""Running code that a model wrote: in a bubblewrap sandbox, checked from a process that it does not share.

`check` runs a program and its tests. The program lives in a guest: no network, a read-only root, an empty home, a
private /tmp, limits of processes, memory, file size and time. The tests live in another one and reach the program's
function through this process, as plain data: neither `exit()` nor an object that equals everything passes them.
"""

from pipeline.sandbox.checks import Check, Verdict, check, check_all
from pipeline.sandbox.guests import Limits, Unavailable, how
from pipeline.sandbox.together import check_together

__all__ = ["Check", "Limits", "Unavailable", "Verdict", "check", "check_all", "check_together", "how"]
