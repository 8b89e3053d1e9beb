"""Events as in the VPC Lattice User Guide, "Use a Lambda function as a target"."""

from typing import Any

from sunup.adapter.http import Answer

from . import formats


def version_1(**changes: Any) -> dict[str, Any]:
    return {
        "raw_path": "/a%2Fb?order-id=42&x=%20",
        "method": "POST",
        "headers": {"host": "svc.example.com", "x-forwarded-for": "10.213.229.10"},
        "query_string_parameters": {"order-id": "42", "x": " "},
        "body": "aGVsbG8=",
        "is_base64_encoded": True,
        **changes,
    }


def version_2(**changes: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "path": "/orders",
        "method": "GET",
        "headers": {"host": ["svc.example.com"], "x-a": ["1", "2"]},
        "queryStringParameters": {"id": ["4 2", "43"]},
        "body": "",
        "isBase64Encoded": False,
        "requestContext": {
            "serviceNetworkArn": "arn:aws:vpc-lattice:us-east-2:123456789012:servicenetwork/sn-0",
            "serviceArn": "arn:aws:vpc-lattice:us-east-2:123456789012:service/svc-0",
            "targetGroupArn": "arn:aws:vpc-lattice:us-east-2:123456789012:targetgroup/tg-0",
            "identity": {"sourceVpcArn": "arn:aws:ec2:us-east-2:123456789012:vpc/vpc-0"},
            "region": "us-east-2",
            "timeEpoch": "1690497599177430",
        },
        **changes,
    }


def test_version_1_keeps_path_and_query_byte_for_byte() -> None:
    call = formats.parse(version_1())
    assert (call.method, call.path, call.query) == ("POST", "/a%2Fb", "order-id=42&x=%20")
    assert call.body == b"hello"
    assert call.client == ("10.213.229.10", 0)


def test_version_2_has_lists() -> None:
    call = formats.parse(version_2())
    assert (call.path, call.query) == ("/orders", "id=4+2&id=43")
    assert [value for name, value in call.headers if name == "x-a"] == ["1", "2"]
    # Microseconds, and no gateway that gives up after 30 s.
    assert call.gateway_started_ms is None


def test_the_answer_has_one_value_for_each_header() -> None:
    answer = Answer(200, [("vary", "a"), ("vary", "b"), ("content-type", "image/png")], b"\xff")
    for event in (version_1(), version_2()):
        response = formats.encode(event, answer)
        assert response["headers"] == {"vary": "a, b", "content-type": "image/png"}
        assert (response["body"], response["isBase64Encoded"]) == ("/w==", True)
