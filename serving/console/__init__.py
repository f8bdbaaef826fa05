"""The console: the pages that people open, and the REST interface behind them (docs/adr/0010).

`python -m serving.console --home HOME` runs it. It writes `HOME/run/console.json` once it accepts connections.

    /api/v1/...              REST, a module per aggregate in `api/`; /api/v1/openapi.json describes it to programs
    /worklist, /studies ...  pages, a module per page in `pages/`, templates in `templates/`
    /login                   single sign-on, the directory, a personal token, break-glass
    /mlflow, /prefect        the servers behind the house, for those who may
    /livez, /readyz, /metrics   for whoever watches over it; no patient data

Programs send a token (`Authorization: Bearer rlt_...`, from `radloop actor add` or `radloop token issue`), browsers
have a session. Every path asks for one permission (`radloop.domain.access`). An error is JSON, `{"code", "error"}`,
or a page.
"""
