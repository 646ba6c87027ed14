"""Faults of ours at a protocol endpoint: logged whole, but without a secret."""

import traceback

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.log import log_response


def log_fault(fault: Exception, *, request: HttpRequest, response: HttpResponse) -> None:
    """Log the fault that ``response`` answers, with its traceback, to ``django.request``.

    The frames of the traceback are cleared first: their local variables may hold raw tokens, secrets and passwords,
    also in code that is not ours, and error reports print them. So does what was posted.
    """
    chained: BaseException | None = fault
    seen: set[int] = set()
    while chained is not None and id(chained) not in seen:  # causes may run in a circle
        seen.add(id(chained))
        traceback.clear_frames(chained.__traceback__)
        chained = chained.__cause__ or chained.__context__
    # Reports print the names of what was posted, and a body without "=" is all name. Both, or one is read again.
    vars(request).update(_post=QueryDict(), _files=MultiValueDict())
    log_response(
        "Fault at a protocol endpoint: %s",
        request.path,
        response=response,
        request=request,
        level="error",
        exception=fault,
    )
