"""What a valid request needs that JSON Schema has no word for. Loaded by schemathesis (infra/test-api)."""

import os
import random
import uuid

import schemathesis
from schemathesis import GenerationMode

PAYMENTS = os.environ["SLUICE_PAYMENTS"].split()
ACCOUNTS = os.environ["SLUICE_ACCOUNTS"].split()
WAIT_SECONDS_MAX = int(os.environ.get("SLUICE_WAIT_MAX", "10"))
chance = random.Random(7)


def is_valid(case):
    """Whether the case is meant to be accepted. One that is meant to be refused is sent as it was made."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def set_right(case):
    """A case that only leaves an optional body out is taken for a wrong one, although no part of it is."""
    if case.meta is None or is_valid(case):
        return
    if (getattr(case.meta.phase.data, "description", None) or "").lower() == "positive test case":
        case.meta.generation.mode = GenerationMode.POSITIVE


def one_key_for_one_request(case):
    """A key that was used for another request is refused, rightly: so each request has its own."""
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = f"{uuid.uuid4()}-{case.headers['Idempotency-Key']}"[:255]
    if isinstance(case.body, dict) and isinstance(case.body.get("items"), list):
        for item in case.body["items"]:
            if isinstance(item, dict) and isinstance(item.get("key"), str):
                item["key"] = f"{uuid.uuid4()}-{item['key']}"[:255]


def no_made_up_cursor(case):
    """Only what a list gave is one."""
    if case.query:
        case.query.pop("cursor", None)


def something_that_exists(case):
    """Half of the requests are about accounts and payments that are there, so that they get further than 404."""
    if case.meta.phase.name.value == "stateful" or not case.path_parameters or chance.random() < 0.5:
        return
    if "payment" in case.path_parameters:
        case.path_parameters["payment"] = chance.choice(PAYMENTS)
    if "account" in case.path_parameters:
        case.path_parameters["account"] = chance.choice(ACCOUNTS)


def within_bytes(text, most):
    while len(text.encode()) > most:
        text = text[:-1]
    return text


def integers_as_integers(value):
    """JSON Schema takes 5.0 for an integer. This API does not: what writes it counts in floating point."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: integers_as_integers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [integers_as_integers(item) for item in value]
    return value


def a_payment(body):
    if not isinstance(body, dict) or "debit" not in body:
        return
    if chance.random() < 0.5:
        body["debit"], body["credit"], body["currency"] = ACCOUNTS[0], ACCOUNTS[1], "USD"
    # Two accounts, and bounds that count bytes where JSON Schema counts characters.
    if body["debit"] == body.get("credit"):
        body["credit"] = body["debit"][:60] + "-2"
    if "reference" in body:
        body["reference"] = within_bytes(body["reference"], 128)
    if "metadata" in body:
        body["metadata"] = {name: within_bytes(value, 200) for name, value in list(body["metadata"].items())[:8]}
    for member in ("expires_at", "capture_before"):
        if member in body:
            # RFC 3339 has years that this ledger does not.
            body[member] = "2099" + body[member][4:19] + "Z"
            if body[member][5:10] == "02-29":
                body[member] = body[member].replace("02-29", "02-28")
            body[member] = body[member].replace(":60Z", ":59Z")


@schemathesis.hook
def before_call(context, case, **kwargs):
    query = case.query or {}
    if str(query.get("wait", "")).isdigit() and int(query["wait"]) <= 10:
        query["wait"] = min(int(query["wait"]), WAIT_SECONDS_MAX)
    set_right(case)
    if not is_valid(case):
        return
    one_key_for_one_request(case)
    no_made_up_cursor(case)
    something_that_exists(case)
    if isinstance(case.query, dict) and "reference" in case.query:
        case.query["reference"] = within_bytes(case.query["reference"], 128)
    case.body = integers_as_integers(case.body)
    a_payment(case.body)
    # What was changed is judged anew.
    set_right(case)
