"""The OpenAPI description in a form that a template can show: plain HTML, which needs no JavaScript."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Field:
    name: str
    description: str
    is_required: bool


@dataclass(frozen=True, kw_only=True)
class Form:
    """One kind of request body that an operation accepts."""

    title: str
    fields: list[Field]


@dataclass(frozen=True, kw_only=True)
class Response:
    status: str
    description: str
    examples: list[str]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """``scopes`` is None if the operation needs no access token."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    scopes: list[str] | None
    forms: list[Form]
    examples: list[tuple[str, str]]
    responses: list[Response]


def operations(document: Document) -> list[Operation]:
    """Return the operations of an OpenAPI 3 document, in its order."""
    return [
        _operation(document, path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _operation(document: Document, path: str, method: str, operation: Document) -> Operation:
    description = operation.get("description", "")
    summary = operation.get("summary") or description.partition(".")[0]
    media_type, body = _first_content(operation.get("requestBody", {}))
    return Operation(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=summary,
        description=description if operation.get("summary") else "",
        scopes=_scopes(operation.get("security", [])),
        forms=list(_forms(document, body.get("schema", {}))),
        examples=[(example.get("summary", ""), _as_body(example["value"], media_type)) for example in _examples(body)],
        responses=[
            _response(_resolved(document, response), status)
            for status, response in operation.get("responses", {}).items()
        ],
    )


def _scopes(security: list[dict[str, list[str]]]) -> list[str] | None:
    return next((scheme["oauthToken"] for scheme in security if "oauthToken" in scheme), None)


def _forms(document: Document, schema: Document) -> Iterable[Form]:
    schema = _resolved(document, schema)
    for option in schema.get("oneOf", [schema] if schema else []):
        form = _resolved(document, option)
        required = form.get("required", [])
        fields = [
            Field(name=name, description=_description(_resolved(document, field)), is_required=name in required)
            for name, field in form.get("properties", {}).items()
            if not field.get("readOnly")
        ]
        yield Form(title=form.get("title", ""), fields=fields)


def _description(field: Document) -> str:
    """Return the description of a field, or else the values it may have."""
    return str(field.get("description") or " or ".join(field.get("enum", [])))


def _response(response: Document, status: str) -> Response:
    _media_type, content = _first_content(response)
    return Response(
        status=status,
        description=response.get("description") or HTTPStatus(int(status)).phrase,
        examples=[json.dumps(example["value"], indent=2) for example in _examples(content)],
    )


def _first_content(part: Document) -> tuple[str, Document]:
    """Return the first media type of a body and its schema; the other media types have the same one."""
    return next(iter(part.get("content", {}).items()), ("", {}))


def _examples(content: Document) -> list[Document]:
    return list(content.get("examples", {}).values())


def _as_body(value: dict[str, Any], media_type: str) -> str:
    return json.dumps(value, indent=2) if media_type.endswith("json") else urlencode(value).replace("&", "\n&")


def _resolved(document: Document, part: Document) -> Document:
    """Return the part, or the component that it refers to."""
    if "$ref" not in part:
        return part
    for name in part["$ref"].removeprefix("#/").split("/"):
        document = document[name]
    return document
