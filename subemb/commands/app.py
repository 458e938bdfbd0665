"""``subemb app``: serve the pages."""

import argparse
import os
import socket

from ..base.errors import InputError
from ..base.paths import app_folder

DEFAULT_PORT = 8501
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def add(commands) -> None:
    command = commands.add_parser("app", help="open the pages in a browser", description="Open the pages in a browser.")
    command.add_argument("--host", default="localhost", help="address to listen on; 0.0.0.0 lets others in (default localhost)")
    command.add_argument("--port", type=int, help=f"default: the first free one from {DEFAULT_PORT}")
    command.add_argument("--no-browser", action="store_true", help="start the server only")
    command.set_defaults(function=run)


def run(given: argparse.Namespace) -> int:
    """Serve the pages until Ctrl-C."""
    script = app_folder() / "app.py"
    port = free_port(given.host, given.port)
    options = {"server.address": given.host, "server.port": port, "logger.hideWelcomeMessage": "true"}
    if given.no_browser:
        options["server.headless"] = "true"
    shown = "localhost" if given.host in ("0.0.0.0", "::") else f"[{given.host}]" if ":" in given.host else given.host
    print(f"subemb is at http://{shown}:{port} (Ctrl-C stops it)", flush=True)
    if shown != given.host:
        print("Others on your network can open it under this computer's name or address.", flush=True)

    from streamlit.web.cli import main as streamlit

    flags = [f"--{name}={value}" for name, value in options.items()]
    if given.host in LOOPBACK and "STREAMLIT_SERVER_ALLOWED_HOSTS" not in os.environ:
        # A web page whose name was bound to this address must not drive the app. A proxy that passes its own name on sets
        # the variable.
        flags += [f"--server.allowedHosts={name}" for name in LOOPBACK]
    return streamlit(["run", str(script), *flags], prog_name="streamlit", standalone_mode=False) or 0


def free_port(host: str, port: int | None) -> int:
    """The port asked for, or the first free one from DEFAULT_PORT. Raises InputError if it cannot be listened on."""
    if not host.strip():
        raise InputError("the host is empty; use localhost, or 0.0.0.0 to let others in")
    if port is not None and not 1 <= port <= 65535:
        raise InputError(f"port {port} does not exist; choose a number from 1024 to 65535")
    for candidate in [port] if port is not None else range(DEFAULT_PORT, DEFAULT_PORT + 100):
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                if os.name != "nt":  # there it would allow a second listener
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, candidate))
                return candidate
        except (socket.gaierror, UnicodeError, ValueError, TypeError) as error:  # also what can be no name of a computer
            raise InputError(f"{host[:80]!r} is not an address of this computer; use localhost or 0.0.0.0") from error
        except OSError as error:
            reason = error
    if port is None:
        raise InputError(
            f"no port from {DEFAULT_PORT} on can be used on {host} ({reason.strerror}); give another --host or --port"
        )
    raise InputError(f"port {port} on {host} cannot be used ({reason.strerror}); leave --port out to get a free one")
