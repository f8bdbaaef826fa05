"""Style sheets and programs of the pages: ours and one vendored library, kept by browsers until they change."""

from typing import Final

from fastapi import APIRouter, Response

from radloop.domain.errors import NotFound
from serving.console.rendering import static_files

static = APIRouter(include_in_schema=False)
KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".LICENSE": "text/plain"}
KEPT: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


@static.get("/static/{name}")
async def get_static(name: str) -> Response:
    """One file, by its name alone.

    Raises:
        NotFound: there is none of this name.
    """
    found = static_files().get(name)
    if found is None:
        raise NotFound("there is nothing under this address")
    kind = KINDS.get(name[name.rfind(".") :], "application/octet-stream")
    return Response(found, media_type=kind, headers=KEPT)
