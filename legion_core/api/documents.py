"""A PDF that a person attaches, checked by the code that checks what clients send."""

import base64
import re
from typing import Final

from legion_core.gateway.dialects.documents import PDF, document_from_base64
from legion_core.gateway.dialects.fields import FieldFault, require
from legion_core.gateway.types import DocumentBlock

_LOCKED: Final = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")


def pdf_of(data: bytes, name: str) -> DocumentBlock:
    """The file as models are given it; takes as long as its bytes, so call it on a thread.

    Raises InvalidInput, whose text goes on behind the file's name: it is empty, no PDF, or locked.
    """
    block = document_from_base64(PDF, base64.b64encode(data).decode(), name, "")
    require(not _LOCKED.search(data), "", "is locked with a password. Save it without one and attach that.")
    if not isinstance(block, DocumentBlock):
        raise FieldFault("", "is no PDF.")
    return block
