"""Checks that Patroni has what the other files replace."""

import inspect


class Unexpected(Exception):
    """Patroni is not the one that a file was written for."""


def expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Unexpected(otherwise)


def expect_parameter(owner: type, method: str, parameter: str) -> None:
    function = getattr(owner, method, None)
    known = inspect.signature(function).parameters if callable(function) else {}
    expect(parameter in known, f"{owner.__name__} has no method {method} with the parameter {parameter}")
