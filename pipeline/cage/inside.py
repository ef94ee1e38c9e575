"""Runs beside an agent's program, in the sandbox or without one: its way to the proxy, and the end of all it started.

It imports nothing of ours: `python inside.py CONFIG [program argument ...]`, CONFIG a JSON object: `folder` is
where the program is run, `proxy` the address of the proxy's socket (or null), `ports` those of this machine that are
reached through it, `contain` whether what the program leaves behind has to be found and ended here, `grace` the seconds
between the request to end and the end.

Its standard input is a pipe from the owner: when that closes, because the owner says so or is gone, all is ended.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
LINGER_SECONDS = 5.0


def pump(here: socket.socket, there: socket.socket) -> None:
    """Carry bytes both ways until both sides have ended."""
    for each in (here, there):
        each.settimeout(None)
    back = threading.Thread(target=_carry, args=(there, here), daemon=True)
    back.start()
    _carry(here, there)
    back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def listen(port: int, proxy: str, target: str | None = None) -> int:
    """Listen on this machine's loopback address and hand connections on to the proxy; the port, chosen if it is 0.

    With `target`, "HOST:PORT", they are tunnelled there, for programs that know of no proxy.
    """
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(64)

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_hand_on, args=(connection, proxy, target), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return int(server.getsockname()[1])


def _hand_on(connection: socket.socket, proxy: str, target: str | None) -> None:
    with connection, socket.socket(socket.AF_UNIX) as out, contextlib.suppress(OSError):
        out.connect(proxy)
        if target is not None:
            out.sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                part = out.recv(4096)
                if not part:
                    return
                answer += part
            head, _, rest = answer.partition(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0] + b" ":
                return
            connection.sendall(rest)
        pump(connection, out)


def environment(config: dict[str, Any]) -> dict[str, str]:
    """The variables of the program: its owner's choice, and the proxy's address in the forms that programs know."""
    variables = dict(os.environ)
    if config["proxy"]:
        address = f"http://127.0.0.1:{listen(0, config['proxy'])}"
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            variables[name] = variables[name.lower()] = address
        variables["NODE_USE_ENV_PROXY"] = "1"  # Node's own fetch asks for no proxy otherwise
        variables["NO_PROXY"] = variables["no_proxy"] = "127.0.0.1,localhost,::1"
        for port in config["ports"]:
            with contextlib.suppress(OSError):
                listen(port, config["proxy"], f"127.0.0.1:{port}")
    return variables


# ---------------------------------------------------------------- the end of it


def main() -> None:
    config, argv = json.loads(sys.argv[1]), sys.argv[2:]
    owner = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if config["contain"]:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        os.chdir(config["folder"])
        program = subprocess.Popen(argv, env=environment(config), close_fds=True, start_new_session=True)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)
    threading.Thread(target=_watch, args=(owner, program, config), daemon=True).start()
    status = program.wait()
    if config["contain"]:
        end_all(program.pid)
    os._exit(status if status >= 0 else 128 - status)


def _watch(owner: int, program: "subprocess.Popen[bytes]", config: dict[str, Any]) -> None:
    """End the program when the owner's pipe closes."""
    with contextlib.suppress(OSError):
        while os.read(owner, 1024):
            pass
    with contextlib.suppress(OSError):
        os.killpg(program.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(config["grace"])
    if config["contain"]:
        end_all(program.pid)
    os._exit(143)


def end_all(leader: int) -> None:
    """Kill all that descends from this process, until nothing is left: orphans become its own children."""
    until = time.monotonic() + LINGER_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            os.killpg(leader, signal.SIGKILL)
        left = descendants(os.getpid())
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(OSError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not left:
            return
        time.sleep(0.02)


def descendants(root: int) -> set[int]:
    """The living descendants of a process, as far as /proc tells."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{int(name)}/stat") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(name)] = int(parent)
    found, grown = {root}, True
    while grown:
        more = {process for process, parent in parents.items() if parent in found} - found
        found, grown = found | more, bool(more)
    return found - {root}


if __name__ == "__main__":
    main()
