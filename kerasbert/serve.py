"""`python -m kerasbert.serve`: a trained classifier over HTTP."""

import dataclasses
import importlib
import ipaddress
import os
import signal
import sys
from typing import Annotated

import tyro

from kerasbert import _cli, _runtime
from kerasbert._runtime import num_cores
from kerasbert.config_checks import check
from kerasbert.config_serve import ServiceConfig
from kerasbert.errors import InputError
from kerasbert.run_directory import check_run

_TOKEN_VARIABLE = "KERASBERT_TOKEN"


@dataclasses.dataclass(frozen=True)
class ServeConfig:
    """Answer requests to classify texts, over HTTP, and show a page to try it.

    The token may also come from the environment, as KERASBERT_TOKEN, where other users of the
    machine do not see it.
    """

    # Directory that `python -m kerasbert.fit` wrote, or a link to one. When the link is changed the
    # new run is loaded, checked and warmed up while the old one answers.
    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]

    # Name or address to listen at. 0.0.0.0 is every network that the machine is in.
    host: str = "127.0.0.1"

    # Port to listen at; 0 takes one that is free.
    port: int = 8000

    # Processes, each with its share of the cores.
    workers: int = 1

    service: ServiceConfig = dataclasses.field(default_factory=ServiceConfig)

    def __post_init__(self):
        check(self, "port", 0 <= self.port <= 65535, "be 0 to 65,535")
        cores = num_cores()
        requirement = f"be 1 to {cores}, the number of cores"
        check(self, "workers", 1 <= self.workers <= cores, requirement)


def main(args: list[str]) -> None:
    """Serve as `args` say."""
    # Until there is something to wait for.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))
    config = _cli.parse(ServeConfig, "serve", args)
    if config.service.token is None and (token := os.environ.get(_TOKEN_VARIABLE)) is not None:
        service = dataclasses.replace(config.service, token=token)
        config = dataclasses.replace(config, service=service)
    check_run(config.run)
    _check_installed()
    if config.service.token is None and not _is_local(config.host):
        print(
            f"warning: whoever reaches {config.host} can ask this service. Set a token "
            f"({_TOKEN_VARIABLE}), or let a proxy ask for one.",
            file=sys.stderr,
        )
    if config.workers > 1:
        from kerasbert.serving.workers import supervise

        supervise(config.run, config.service, config.host, config.port, config.workers)
        return
    _serve(config)


def _serve(config: ServeConfig) -> None:
    from kerasbert.serving.logs import log_to_stderr
    from kerasbert.serving.sockets import open_socket, raise_file_limit, url_of

    bound = open_socket(config.host, config.port)
    log_to_stderr()
    raise_file_limit()
    _runtime.halve_threads()
    _runtime.quiet()
    from kerasbert.serving.server import Server
    from kerasbert.serving.service import Service

    server = Server(Service(config.run, config.service), bound)
    server.load_meanwhile(lambda: print(f"serving {config.run} at {url_of(bound)}", flush=True))
    server.run()


def _check_installed() -> None:
    try:
        for package in ("fastapi_offline", "httptools", "prometheus_client", "uvicorn"):
            importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"Serving needs the package {error.name}. Install the extra: pip install "
            "'kerasbert[serve]'."
        ) from None


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    _cli.run(main)
