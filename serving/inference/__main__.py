"""`python -m serving.inference --home HOME`: the model server, in the foreground."""

import argparse
import importlib
import shutil
import sys
from pathlib import Path

import structlog

from radloop import logs
from radloop.domain.errors import RadloopError
from radloop.process import die_with_parent
from radloop.settings import Settings, export, load_settings
from serving.inference import lean, quiet
from serving.inference.listening import listening_socket

log = structlog.get_logger(__name__)


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean end, 1 where the start failed."""
    arguments = _parser().parse_args()
    die_with_parent()
    logs.configure("inference")
    quiet.keep_libraries_quiet()
    try:
        _run(load_settings(arguments.home))
    except (RadloopError, OSError) as error:
        log.error("not started", reason=_reason(error))  # noqa: TRY400 - the reason is the error
        return 1
    return 0


def _run(settings: Settings) -> None:
    sock = listening_socket(settings.inference.port)
    export(_environment(settings))
    lean.import_networks()
    # BentoML and prometheus-client read their environment when imported.
    server = importlib.import_module("serving.inference.server")
    server.serve(settings, sock)


def _environment(settings: Settings) -> dict[str, str]:
    home = settings.home / "run" / "bentoml"
    # prometheus-client keeps a file per process and metric there; those of dead processes would count for ever.
    shutil.rmtree(home, ignore_errors=True)
    metrics = home / "metrics"
    metrics.mkdir(mode=0o700, parents=True)
    return {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        # The images of several requests are prepared side by side already.
        "OPENBLAS_NUM_THREADS": "1",
        # A thread of torch that has nothing to do shall sleep, not spin: the decoders need the cores.
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _reason(error: RadloopError | OSError) -> str:
    return str(error) if isinstance(error, RadloopError) else f"{type(error).__name__}: {error.strerror}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.inference", description="Run the model server.")
    parser.add_argument("--home", type=Path, required=True, help="the folder that holds everything")
    return parser


if __name__ == "__main__":
    sys.exit(main())
