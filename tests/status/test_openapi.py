import json
import re

from gateway.status.openapi import OPERATIONS, openapi
from gateway.status.rights import Rights

DOCUMENT = openapi()


def operation_object(operation):
    return DOCUMENT["paths"][operation.path][operation.method.lower()]


def test_every_operation_names_all_its_responses():
    assert OPERATIONS
    for operation in OPERATIONS:
        expected = {"200", "400", "401", "429"}
        expected |= {"403", "409"} if operation.method == "POST" else set()
        expected |= {"404"} if "{" in operation.path else set()
        expected |= {"403"} if operation.needs > Rights.LOOK else set()
        expected |= set(operation.errors)
        assert set(operation_object(operation)["responses"]) == expected, operation.name


def test_every_operation_names_its_parameters():
    assert OPERATIONS
    for operation in OPERATIONS:
        parameters = operation_object(operation)["parameters"]
        in_path = {one["name"] for one in parameters if one["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", operation.path))
        assert {one["name"] for one in parameters if one["in"] == "query"} == set(operation.query)
        assert all(one["required"] for one in parameters if one["in"] == "path")
        assert all(one["description"] for one in parameters if one["in"] == "query")


def test_a_parameter_is_described_as_it_is_checked():
    parameters = {(one.name, name): parameter for one in OPERATIONS for name, parameter in one.query.items()}
    schemas = {
        (one.name, schema["name"]): schema["schema"]
        for one in OPERATIONS
        for schema in operation_object(one)["parameters"]
        if schema["in"] == "query"
    }
    assert schemas.keys() == parameters.keys()
    for name, parameter in parameters.items():
        described = re.compile(schemas[name].get("pattern", ""))
        for value in ("1", "12", "100", "499", "500", "501", "1000", "5000", "x500", "1x", "abc", "2026-03-01T08:00:00Z"):
            is_described = described.search(value) is not None and value in schemas[name].get("enum", [value])
            assert is_described is (parameter.problem_with(value) is None), (name, value)
        assert (schemas[name].get("minLength") == 1) is parameter.is_required


def test_operation_ids_are_unique_and_every_schema_exists():
    assert len({operation_object(one)["operationId"] for one in OPERATIONS}) == len(OPERATIONS)
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT)))
    assert names == set(DOCUMENT["components"]["schemas"])
    for operation in OPERATIONS:
        schema = operation_object(operation)["responses"]["200"]["content"][operation.content_type]["schema"]
        if operation.response is None:
            content = {} if operation.content_type == "text/csv" else {"contentMediaType": operation.content_type}
            assert (schema, operation.content_type != "application/json") == ({"type": "string"} | content, True)
        else:
            assert schema["$ref"].endswith(f"/{operation.response.__name__}")
        error = operation_object(operation)["responses"]["401"]["content"]["application/json"]["schema"]
        assert error["$ref"].endswith("/ErrorResponse")


def test_the_document_asks_for_the_bearer_token():
    assert DOCUMENT["security"] == [{"token": []}]
    assert DOCUMENT["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}
