"""Upload: hand in an image by hand and see its report."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.console.api import uploads as api
from serving.console.api.readings import OurId
from serving.console.api.uploads import Uploader
from serving.console.identity import HouseHere
from serving.console.rendering import render

upload_pages = APIRouter(include_in_schema=False)


@upload_pages.get("/upload")
def get_upload(request: Request, house: HouseHere, who: Uploader) -> Response:
    """The place to drop files, and one's own uploads."""
    keep = house.settings.upload.keep_hours
    return render(request, who, "upload.html", uploads=api.list_uploads(house, who), keep_hours=keep)


@upload_pages.get("/upload/{upload_id}")
def get_report(request: Request, upload_id: OurId, house: HouseHere, who: Uploader) -> Response:
    """The report of one upload."""
    return render(request, who, "upload_report.html", upload=api.get_upload(upload_id, house, who))
