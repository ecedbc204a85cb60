"""Walks docs/openapi.yaml with several keys: nobody gets in without one, a key does what its scopes say and no more, and another
tenant's ids are found by no route."""

import json
import urllib.error
import urllib.request
import uuid

import yaml


def operations(document):
    """Method, path and description of each."""
    for path, item in yaml.safe_load(document.read_text())["paths"].items():
        for method in ("get", "post"):
            if method in item:
                yield method.upper(), path, item[method]


class Walk:
    def __init__(self, system, accounts, payments):
        self.system, self.account, self.payment = system, accounts[2], payments[1]
        self.problems, self.count = [], 0
        system.sluice("keys", "create-tenant", "other")
        self.other = system.sluice("keys", "create", "--tenant", "other").strip()
        self.scoped = {
            scope: system.sluice("keys", "create", "--tenant", "demo", "--scopes", scope, "--days", "1").strip()
            for scope in ("read", "pay", "admin")
        }
        system.wait_for_keys([self.other, *self.scoped.values()])

    def request(self, method, path, operation, key):
        path = path.replace("{account}", self.account).replace("{payment}", self.payment)
        if operation["operationId"] == "listPayments":
            path += "?reference=order"
        body = None
        fields = {"Authorization": f"Bearer {key}"} if key else {}
        if method == "POST":
            body = json.dumps(operation["requestBody"]["content"]["application/json"]["example"]).encode()
            fields |= {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10"}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.system.gateway + path, body, fields, method=method)) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def expect(self, what, is_right, answer):
        self.count += 1
        if not is_right:
            self.problems.append(f"{what}: {answer}")

    def walk(self, document):
        for method, path, operation in operations(document):
            name = f"{method} {path}"
            for key in (None, "sk_0000000000000000_" + self.other[20:], self.other[:-1]):
                answer = self.request(method, path, operation, key)
                self.expect(f"{name} without a valid key", answer[0] == 401 and '"unauthorized"' in answer[1], answer)
            for scope, key in self.scoped.items():
                if scope == operation["x-scope"] and method == "POST":
                    continue  # What is permitted is not done here: it would close the account that the others ask for.
                answer = self.request(method, path, operation, key)
                is_right = answer[0] == 200 if scope == operation["x-scope"] else answer[0] == 403 and '"forbidden"' in answer[1]
                self.expect(f"{name} with a key for `{scope}`", is_right, answer)
            answer = self.request(method, path, operation, self.other)
            if "{" in path:
                self.expect(f"{name} of another tenant", answer[0] == 404, answer)
            elif method == "GET":
                self.expect(f"{name} shows nothing of another tenant", answer[0] == 200 and json.loads(answer[1])["data"] == [], answer)
            elif path == "/v1/payments":
                self.expect(f"{name} from another tenant's account", answer[0] == 402 and "account_not_found" in answer[1], answer)
        batch = {"requestBody": {"content": {"application/json": {"example": {
            "items": [{"key": "tenants-0001", "type": "account", "id": "a", "currency": "USD"}]}}}}, "operationId": "createBatch"}
        answer = self.request("POST", "/v1/batches", batch, self.scoped["pay"])
        self.expect("an account in a batch of a key for `pay`", '"status":403' in answer[1], answer)
