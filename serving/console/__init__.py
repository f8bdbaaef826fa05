"""The console: for now the REST interface by which readers' verdicts and sign-offs come in (docs/verdicts.md).

`python -m serving.console --home HOME` runs it. It writes `HOME/run/console.json` once it accepts connections.

    POST /api/v1/results/{id}/verdicts        a verdict; 201 the first time, 200 for the same again
    GET  /api/v1/results/{id}                 one answer of a model, with the verdicts on it
    GET  /api/v1/studies/{id}/results         every answer on one study version that was shown
    POST /api/v1/studies/{id}/signoff         close a study version; 201 the first time, 200 for the same again
    GET  /api/v1/openapi.json                 all of this for machines
    GET  /livez, /readyz, /metrics         for whoever watches over it; no patient data

Whoever asks under /api carries a personal token (`Authorization: Bearer rlt_...`, from `radloop actor add`). An error
is JSON, `{"code", "error"}`, in our own words.
"""
