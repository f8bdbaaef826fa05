"""The command `radloop`: its groups and commands, and how an error ends it."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from radloop.domain.errors import RadloopError
from serving.cli import (
    access,
    adoption,
    alarms,
    audit,
    backup,
    baselines,
    certs,
    checks,
    cohorts,
    consent,
    deidentify,
    demo,
    golive,
    governance,
    ingest,
    lineage,
    links,
    processes,
    promotion,
    queue,
    reports,
    retention,
    setup,
    simulate,
    site,
    standing,
    studies,
    tokens,
    training,
    transfer,
    verdicts,
)
from serving.cli.exits import EXPLAINED, code_of
from serving.cli.output import complain


class Reporting(TyperGroup):
    """Says an error of ours in one line on stderr, and ends with its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        try:
            return super().invoke(ctx)
        except RadloopError as error:
            complain(str(error))
            raise typer.Exit(code_of(error)) from None


app = typer.Typer(
    name="radloop",
    cls=Reporting,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=EXPLAINED,
)


@app.callback()
def radloop(
    *,
    home: Annotated[
        Path | None, typer.Option("--home", help="Folder that holds everything (RADLOOP_HOME; else ~/.radloop).")
    ] = None,
) -> None:
    """Closes the loop between a hospital's imaging network and the models that read from it."""
    from radloop import logs

    # What a command prints is its result; its log is for what went wrong on the way.
    logs.configure("command-line", least=logging.WARNING)
    if home is not None:
        from radloop.settings import export

        export({"RADLOOP_HOME": str(home)})


COMMANDS: dict[str, Callable[..., None]] = {
    "init": setup.init,
    "up": processes.up,
    "down": processes.down,
    "status": processes.status,
    "send": transfer.send,
    "import": ingest.import_folder,
    "deidentify": deidentify.deidentify,
    "ingest": ingest.ingest,
    "studies": studies.studies,
    "show": studies.show,
    "demo": demo.demo,
    "simulate": simulate.simulate,
    "retrain": training.retrain,
    "runs": training.runs,
    "evaluate": promotion.evaluate,
    "evaluations": promotion.evaluations,
    "shadow": standing.shadow,
    "compare": standing.compare,
    "replay": lineage.replay,
    "explain": lineage.explain,
    "touched": lineage.touched,
    "card": lineage.card,
    "approve": standing.approve,
    "rollback": standing.rollback,
    "verdict": verdicts.verdict,
    "signoff": verdicts.signoff,
    "overrides": verdicts.overrides,
    "unmatched": verdicts.unmatched,
    "checks": checks.checks,
    "watch": alarms.watch,
    "conformance": site.conformance,
    "roi": reports.roi,
    "access": access.permissions,
    "adoption": adoption.adoption,
    "retain": retention.retain,
    "backup": backup.backup,
    "restore": backup.restore,
}

for command_name, command in COMMANDS.items():
    app.command(command_name)(command)

governance.keys.command("retire")(retention.retire_keys)

for name, group in (
    ("queue", queue.app),
    ("alarms", alarms.app),
    ("baseline", baselines.app),
    ("cohort", cohorts.app),
    ("consent", consent.app),
    ("schedule", site.schedule),
    ("golive", golive.app),
    ("quarantine", governance.quarantine),
    ("actor", access.actor),
    ("token", tokens.app),
    ("audit", audit.app),
    ("keys", governance.keys),
    ("certs", certs.app),
    ("models", standing.models),
    ("report", reports.app),
    ("hold", retention.app),
    ("link", links.app),
):
    app.add_typer(group, name=name)


def run() -> None:
    """The entry point of the command `radloop`."""
    os.umask(0o077)  # what a command makes is its owner's alone
    app()


if __name__ == "__main__":
    run()
