"""The model server: stored instances in, numbers and pictures out, over HTTP on loopback.

`python -m serving.inference --home HOME` runs it. It writes `HOME/run/inference.json` once every installed
bundle has been warmed up, so whoever waits for that file meets a service that answers at full speed.

`POST /infer`, `Content-Type: application/json`, asks one model for one study version:

    {"model": "cxr_pneumonia", "digest": "<64 hex digits>", "instances": [{"id": "in_...", "key": "<store key>"}]}

    200  an InferenceAnswer (`radloop.domain.records`), the same field names, enums as their words;
         its `status` is OK, NOT_APPLICABLE or UNAVAILABLE
    400  {"error", "detail"}: not the JSON above
    404  {"code", "error"}: no stored instance under one of the keys
    409  {"code", "error"}: no such bundle here (`unknown-digest`), or it was changed or is signed by another
         key (`integrity`)
    411, 413, 415  {"code", "error"}: no length, too large, not JSON
    503  {"code", "error"} and Retry-After in seconds: overloaded, past the deadline, out of space or memory

`POST /warm` has versions ready before the ledger lets them be asked: loaded, verified, and put to the golden study.

    {"model": "cxr_pneumonia", "digests": ["<64 hex digits>", ...]}

    200  {"ready": [DIGEST, ...], "refused": {DIGEST: CODE, ...}}; versions of that model that are not named here and
         were not asked for in a minute are put away. Requests go on meanwhile.

An answer that is OK holds one score per target of the card: a study with several images has one probability per
target, the highest over its images, and the picture of the image that gave it. `run.batch` is the largest forward
pass that any of its images was part of: numbers are bit-identical for the same batch, threads and build.

`GET /livez`, `/readyz` and `/healthz` answer 200 while it works; `GET /metrics` is Prometheus text, no patient data.
"""
