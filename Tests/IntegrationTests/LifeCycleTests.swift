import Foundation
import Testing

extension WholeSystem {
    /// What payments and accounts may become, by every route.
    @Suite struct LifeCycle {
        private func expect(
            _ answer: HTTPResponse, _ status: Int, _ code: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(answer.status == status, "\(answer)", sourceLocation: sourceLocation)
            if let code { #expect(answer.problemCode == code, "\(answer)", sourceLocation: sourceLocation) }
        }

        private func balance(_ scene: Scene, _ account: String, since answer: JSON? = nil) throws -> JSON {
            let revision = answer?.debit_result.revision.int ?? 0
            return try scene.client.get("/v1/accounts/\(account)/balance?min_revision=\(revision)").json
        }

        @Test func `a hold is captured in parts, the rest is released, and the payment shows each step`() throws {
            let scene = try Scene()
            try scene.world()
            let (payer, shop) = (try scene.funded("payer", 100), try scene.open("shop"))
            let held = try scene.client.hold(80, from: payer, to: shop)
            expect(held, 201)
            #expect(held.json.status.string == "authorized" && held.json.held.int == 80 && held.json.captured.int == 0, "\(held)")
            #expect(held.json.capture.string == "manual" && held.json.hold_until.string != nil)
            let id = try #require(held.json.id.string)
            expect(try scene.client.pay(21, from: payer, to: shop), 402, "insufficient_funds")

            let first = try scene.client.change(payment: id, "capture", "{\"amount\":30}")
            expect(first, 201)
            #expect(first["location"] == "/v1/payments/\(id)")
            #expect(first.json.type.string == "capture" && first.json.status.string == "applied" && first.json.moved.int == 30)
            #expect(first.json.payment.string == id && first.json.payment_revision.int == 2 && first.json.id.string != id, "\(first)")
            #expect(first.json.credit_result.posted_after.int == 30)
            expect(try scene.client.change(payment: id, "capture", "{\"amount\":51}"), 409, "capture_exceeds_hold")
            let last = try scene.client.change(payment: id, "capture", "{\"amount\":20,\"final\":true}")
            expect(last, 201)
            #expect(last.json.released.int == 30, "\(last)")
            expect(try scene.client.change(payment: id, "capture"), 409, "payment_not_authorized")
            expect(try scene.client.change(payment: id, "void"), 409, "payment_not_authorized")

            let after = try balance(scene, payer, since: last.json)
            #expect(after.posted.int == 50 && after.held.int == 0 && after.available.int == 50)
            let shown = try scene.client.get("/v1/payments/\(id)")
            #expect(shown.json.status.string == "settled" && shown.json.captured.int == 50 && shown.json.held.int == 0, "\(shown)")
            let history = shown.json.history.list
            #expect(history.map { $0.type.string } == ["hold", "capture", "capture"])
            #expect(history.map { $0.id.string } == [id, first.json.id.string, last.json.id.string])
            #expect(history.map { $0.amount.int } == [80, 30, 20] && history[2].released.int == 30)
            #expect(history.allSatisfy { $0.at.string != nil })
            #expect(shown["etag"] == "\"R3\"")
            try expectLedgerIsSound(scene.system)
        }

        @Test func `a void gives the money back, a refund moves it back, and never more than was captured`() throws {
            let scene = try Scene()
            try scene.world()
            let (payer, shop) = (try scene.funded("payer", 100), try scene.open("shop"))
            let held = try #require(try scene.client.hold(60, from: payer, to: shop).json.id.string)
            let void = try scene.client.change(payment: held, "void")
            expect(void, 201)
            #expect(void.json.type.string == "void" && void.json.released.int == 60)
            #expect(try scene.client.get("/v1/payments/\(held)").json.status.string == "voided")
            expect(try scene.client.change(payment: held, "refunds"), 409, "refund_exceeds_captured")

            let paid = try scene.client.pay(100, from: payer, to: shop)
            let id = try #require(paid.json.id.string)
            expect(try scene.client.change(payment: id, "capture"), 409, "payment_not_authorized")
            let part = try scene.client.change(payment: id, "refunds", "{\"amount\":40}")
            expect(part, 201)
            #expect(part.json.debit_result.posted_after.int == 60 && part.json.credit_result.posted_after.int == 40, "\(part)")
            expect(try scene.client.change(payment: id, "refunds", "{\"amount\":61}"), 409, "refund_exceeds_captured")
            // What the shop has spent it cannot give back.
            #expect(try scene.client.pay(30, from: shop, to: scene.id("world")).status == 201)
            expect(try scene.client.change(payment: id, "refunds"), 402, "insufficient_funds")
            #expect(try scene.client.pay(30, from: scene.id("world"), to: shop).status == 201)
            let rest = try scene.client.change(payment: id, "refunds")
            expect(rest, 201)
            #expect(rest.json.moved.int == 60)
            expect(try scene.client.change(payment: id, "refunds", "{\"amount\":1}"), 409, "refund_exceeds_captured")
            let shown = try scene.client.get("/v1/payments/\(id)").json
            #expect(
                shown.status.string == "settled" && shown.refunded.int == 100
                    && shown.history.list.map { $0.type.string } == ["refund", "refund"])
            #expect(shown.debit_result.posted_after.int == 0)
            let page = try scene.client.get("/v1/accounts/\(payer)/transactions").json.data.list
            #expect(
                page.map { $0.direction.string } == ["credit", "credit", "debit", "credit"]
                    && page.map { $0.amount.int } == [60, 40, 100, 100])
            #expect(page[0].payment.string == id)
            // The way back of a payment is told from whoever reads it, too.
            #expect(page.map { $0.counterparty.string } == [shop, shop, shop, scene.id("world")])
            try expectLedgerIsSound(scene.system)
        }

        @Test func `a change under the same key is made once, and another one under it never`() throws {
            let scene = try Scene()
            try scene.world()
            let (payer, shop) = (try scene.funded("payer", 100), try scene.open("shop"))
            let id = try #require(try scene.client.hold(100, from: payer, to: shop).json.id.string)
            let key = newKey()
            let first = try scene.client.change(payment: id, "capture", "{\"amount\":30}", key: key)
            let ways = try ["gateway-a", "gateway-b"].map { try scene.system.client(at: $0) }
            for way in ways {
                let again = try way.change(payment: id, "capture", "{\"amount\":30}", key: key)
                expect(again, 201)
                #expect(again.text == first.text && again["idempotency-replayed"] == "true", "\(again)")
                expect(try way.change(payment: id, "capture", "{\"amount\":31}", key: key), 422, "idempotency_key_reused")
                expect(try way.change(payment: id, "refunds", "{\"amount\":30}", key: key), 422, "idempotency_key_reused")
            }
            let declined = newKey()
            expect(try scene.client.change(payment: id, "capture", "{\"amount\":71}", key: declined), 409, "capture_exceeds_hold")
            expect(try ways[1].change(payment: id, "capture", "{\"amount\":71}", key: declined), 409, "capture_exceeds_hold")
            // Not waited for at all: 202, and 202 again.
            let impatient = newKey()
            let accepted = try scene.client.change(payment: id, "capture", "{\"amount\":5}", key: impatient, wait: nil)
            expect(accepted, 202)
            #expect(accepted.json.status.string == "processing" && accepted.json.amount.int == 5, "\(accepted)")
            let isMade = try eventually { try scene.client.get("/v1/payments/\(id)").json.captured.int == 35 }
            #expect(isMade)
            expect(try scene.client.change(payment: id, "capture", "{\"amount\":5}", key: impatient, wait: nil), 202)
            #expect(try LedgerTables(system: scene.system).movements(to: shop) == (2, 35))
        }

        @Test func `a hold that was not captured in time is released by a command in the log`() throws {
            let scene = try Scene()
            try scene.world()
            let (payer, shop) = (try scene.funded("payer", 100), try scene.open("shop"))
            let formatter = ISO8601DateFormatter()
            let end = formatter.string(from: Date(timeIntervalSinceNow: 3))
            let held = try scene.client.hold(60, from: payer, to: shop, more: ",\"capture_before\":\"\(end)\"")
            let partly = try scene.client.hold(40, from: payer, to: shop, more: ",\"capture_before\":\"\(end)\"")
            let (id, second) = (try #require(held.json.id.string), try #require(partly.json.id.string))
            #expect(held.json.hold_until.string?.prefix(19) == end.prefix(19))
            expect(try scene.client.change(payment: second, "capture", "{\"amount\":10}"), 201)
            var shown: [JSON] = []
            let isOver = try eventually(seconds: 30) {
                shown = try [id, second].map { try scene.client.get("/v1/payments/\($0)").json }
                return shown.allSatisfy { $0.status.string != "authorized" }
            }
            #expect(isOver)
            #expect(shown[0].status.string == "expired" && shown[0].history.list.last?.type.string == "expiry", "\(shown)")
            #expect(shown[1].status.string == "settled" && shown[1].captured.int == 10 && shown[1].history.list.last?.released.int == 30)
            expect(try scene.client.change(payment: id, "capture"), 409, "payment_not_authorized")
            let isFree = try eventually { try balance(scene, payer).available.int == 90 }
            #expect(isFree)
            let late = try scene.client.hold(1, from: payer, to: shop, more: ",\"capture_before\":\"2020-01-01T00:00:00Z\"")
            expect(late, 402, "deadline_exceeded")
            // The expiry is a record of the log, with its outcome: the audit compares them.
            try expectLedgerIsSound(scene.system)
        }

        @Test func `another tenant's payment and account cannot be changed`() throws {
            let scene = try Scene()
            try scene.world()
            let (payer, shop) = (try scene.funded("payer", 100), try scene.open("shop"))
            let id = try #require(try scene.client.hold(60, from: payer, to: shop).json.id.string)
            let theirs = try newTenantsClient()
            for verb in ["capture", "void", "refunds"] { expect(try theirs.change(payment: id, verb), 404, "payment_not_found") }
            for verb in ["freeze", "unfreeze", "close"] { expect(try theirs.change(account: payer, verb), 404, "not_found") }
            expect(try theirs.change(account: payer, "limit", "{\"overdraft_limit\":5}"), 404, "not_found")
            #expect(try scene.client.get("/v1/payments/\(id)").json.status.string == "authorized")
            expect(try scene.client.change(payment: String(repeating: "0", count: 32), "void"), 404, "payment_not_found")
            expect(try scene.client.change(payment: "nothing", "void"), 404, "not_found")
        }

        @Test func `a payment, its capture and its refund that piled up are decided in the order of acceptance`() throws {
            let scene = try Scene()
            try scene.world()
            let (payer, shop) = (try scene.funded("payer", 100), try scene.open("shop"))
            let clients = try ["gateway-a", "gateway-b"].map { try scene.system.client(at: $0) }
            let id = try scene.system.whileFrozen("worker-1") {
                let id = try #require(try clients[0].hold(60, from: payer, to: shop, wait: nil).json.id.string)
                expect(try clients[1].change(payment: id, "capture", "{\"amount\":50,\"final\":true}", wait: nil), 202)
                expect(try clients[0].change(payment: id, "refunds", "{\"amount\":20}", wait: nil), 202)
                expect(try clients[1].change(account: payer, "freeze", wait: nil), 202)
                return id
            }
            let isDone = try eventually { try scene.client.get("/v1/payments/\(id)").json.refunded.int == 20 }
            #expect(isDone)
            let shown = try scene.client.get("/v1/payments/\(id)").json
            #expect(shown.captured.int == 50 && shown.revision.int == 3 && shown.status.string == "settled")
            let isFrozen = try eventually { try balance(scene, payer).status.string == "frozen" }
            #expect(isFrozen)
            #expect(try balance(scene, payer).posted.int == 70)
        }

        @Test func `an account is frozen, unfrozen, given a limit and closed`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let (left, right) = (try scene.funded("left", 100), try scene.funded("right", 100))
            let frozen = try scene.client.change(account: left, "freeze", "{\"side\":\"debit\"}")
            expect(frozen, 201)
            #expect(frozen["location"] == "/v1/accounts/\(left)")
            #expect(frozen.json.status.string == "frozen" && frozen.json.frozen[0].string == "debit", "\(frozen)")
            expect(try scene.client.pay(1, from: left, to: right), 402, "account_frozen")
            expect(try scene.client.pay(1, from: right, to: left), 201)
            expect(try scene.client.change(account: left, "freeze", "{\"side\":\"credit\"}"), 201)
            expect(try scene.client.pay(1, from: right, to: left), 402, "account_frozen")
            let open = try scene.client.change(account: left, "unfreeze")
            expect(open, 201)
            #expect(open.json.status.string == "open" && open.json.posted.int == 101)
            expect(try scene.client.pay(1, from: left, to: right), 201)

            expect(try scene.client.change(account: left, "limit", "{\"overdraft_limit\":50}"), 201)
            expect(try scene.client.pay(150, from: left, to: right), 201)
            expect(try scene.client.change(account: left, "limit", "{\"overdraft_limit\":49}"), 409, "overdraft_in_use")
            expect(try scene.client.change(account: world, "limit", "{\"overdraft_limit\":1}"), 409, "external_account")
            expect(try scene.client.change(account: left, "close"), 409, "balance_not_zero")
            expect(try scene.client.pay(50, from: right, to: left), 201)
            let held = try #require(try scene.client.hold(10, from: left, to: right).json.id.string)
            expect(try scene.client.change(account: left, "close"), 409, "funds_held")
            expect(try scene.client.change(payment: held, "void"), 201)
            let key = newKey()
            let closed = try scene.client.change(account: left, "close", key: key)
            expect(closed, 201)
            #expect(closed.json.status.string == "closed")
            expect(try scene.client.change(account: left, "close", key: key), 201)
            expect(try scene.client.change(account: left, "close"), 409, "already_closed")
            expect(try scene.client.pay(1, from: right, to: left), 402, "account_closed")
            expect(try scene.client.change(account: scene.id("nobody"), "close"), 404, "not_found")
            let accepted = try scene.client.change(account: right, "freeze", wait: nil)
            expect(accepted, 202)
            #expect(accepted.json.type.string == "freeze" && accepted.json.status.string == "processing", "\(accepted)")
            try expectLedgerIsSound(scene.system)
        }

        @Test func `a change without a key, of the wrong form or by the wrong method is refused`() throws {
            let scene = try Scene()
            let path = "/v1/payments/\(String(repeating: "0", count: 32))/capture"
            expect(try scene.client.send("POST", path, body: "{}"), 400, "missing_idempotency_key")
            expect(try scene.client.post(path, key: newKey(), wait: nil, body: "{\"amount\":0}"), 422, "validation_failed")
            expect(try scene.client.post(path, key: newKey(), wait: nil, body: "{"), 400, "malformed_json")
            let wrong = try scene.client.get(path)
            expect(wrong, 405, "method_not_allowed")
            #expect(wrong["allow"] == "POST")
            expect(try scene.client.post("/v1/accounts/x/freeze", key: newKey(), wait: nil, body: "{\"side\":1}"), 422, "validation_failed")
            // No body at all says all there is.
            let bare = try scene.client.send("POST", path, ["Idempotency-Key": newKey(), "Content-Length": "0", "Prefer": "wait=10"])
            expect(bare, 404, "payment_not_found")
        }
    }
}
