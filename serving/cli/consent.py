"""`radloop consent`: what patients say about being learned from. Answers name our surrogate ids alone."""

from typing import Annotated

import typer

from serving.cli.desk import HomeOption, JsonOption, TokenOption, open_desk
from serving.cli.output import print_json, print_table, say
from serving.cli.verdicts import at_home

app = typer.Typer(help="What patients say about being learned from.", no_args_is_help=True)

PatientArgument = Annotated[str, typer.Argument(help="The hospital's number of the patient.", metavar="PATIENT_ID")]
IssuerOption = Annotated[str | None, typer.Option("--issuer", help="Issuer of Patient ID; absent: as it is known.")]


@app.command()
def give(
    patient_id: PatientArgument,
    *,
    issuer: IssuerOption = None,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """The patient agrees: their studies may be learned from, from now on."""
    from flows import consent

    with at_home(open_desk(home, token)) as (house, actor):
        patient = consent.give(house, patient_id, issuer, actor)
    say(f"{patient}: studies may be learned from")


@app.command()
def withdraw(
    patient_id: PatientArgument,
    *,
    issuer: IssuerOption = None,
    as_json: JsonOption = False,
    token: TokenOption = None,
    home: HomeOption = None,
) -> None:
    """The patient does not agree (any more): no later cohort, training copies deleted, models that saw them listed."""
    from flows import cohorts, consent

    with at_home(open_desk(home, token)) as (house, actor):
        patients = consent.take_back(house, patient_id, issuer, actor)
        done = [(patient, cohorts.withdraw(house, patient, actor)) for patient in patients]
    rows = [{"patient": who, "copies_deleted": it.deleted, "models": list(it.models)} for who, it in done]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['patient']}: withdrawn; training copies deleted: {row['copies_deleted']}")
    print_table("Models that saw them", ("patient", "model digest"), ((who, m) for who, it in done for m in it.models))


@app.command()
def show(
    patient_id: PatientArgument,
    *,
    issuer: IssuerOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """What holds for a patient now: their own word, else the site's policy."""
    from flows import consent

    with at_home(open_desk(home)) as (house, _):
        rows = [
            {"patient": one.patient, "said": one.said, "may_learn": one.may_learn}
            for one in consent.show(house, patient_id, issuer)
        ]
    if as_json:
        print_json(rows)
    else:
        print_table("Consent", ("patient", "said", "may be learned from"), (tuple(row.values()) for row in rows))
