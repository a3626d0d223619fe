"""Views: keep a page's filters under a name, and drop one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from orchestration.web.request_context import Visit, signed_in
from orchestration.web.views import PAGES, filters

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Visit, Depends(signed_in())]


@router.post("/views")
def keep(one: Viewer) -> Response:
    """Keep the filters of the page the form stands on, or drop a view of it."""
    page, name = one.text("on", 40), one.text("view", 200)
    query = filters(one.text("query"))
    back = page if page in PAGES else "/"
    if one.form.get("to") == "drop":
        one.room.views.drop(one.me.name, page, name)
        return one.go(back, done="dropped")
    try:
        one.room.views.keep(one.me.name, page, name, query)
    except ValueError as error:
        title = one.words("This view was not kept")
        said = {"title": title, "message": str(error), "kept": {"view": [name]}}
        return one.page("trouble.html.j2", 422, back=f"{back}?{query}", **said)
    return one.go(f"{back}?{query}" if query else back)
