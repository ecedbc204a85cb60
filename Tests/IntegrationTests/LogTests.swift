import Foundation
import Testing

extension WholeSystem {
    /// The log as an independent client reads it.
    @Suite struct LogRecords {
        @Test func `a record in the log is the canonical command under its headers`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            let body =
                "{\"currency\":\"CZK\", \"amount\" : 15075,\"metadata\":{\"z\":\"1\",\"a\":\"\\u00e9\\n\"},\"expires_at\":\"2099-11-27T01:00:00+01:00\","
                + "\"reference\":\"order\\/1\",\"credit\":\"\(shop)\",\"debit\":\"\(world)\"}"
            let fields = ["Idempotency-Key": newKey(), "traceparent": trace]
            let before = Date().timeIntervalSince1970
            let accepted = try scene.client.send("POST", "/v1/payments", fields, body: body)
            try #require(accepted.status == 202, "\(accepted)")
            let id = try #require(accepted.json.id.string)
            let record = try #require(try LogReader(scene.system).records().first { $0.headers["id"] == id })
            #expect(
                record.value == "{\"type\":\"pay\",\"debit\":\"\(world)\",\"credit\":\"\(shop)\",\"amount\":15075,\"currency\":\"CZK\","
                    + "\"reference\":\"order/1\",\"metadata\":{\"a\":\"é\\n\",\"z\":\"1\"},\"expires_at\":\"2099-11-27T00:00:00.000000Z\"}")
            let tenant = try LedgerTables(system: scene.system).rows("SELECT id, partition FROM sluice.tenant WHERE name = 'demo'")[0]
            #expect(record.key == tenant[0])
            #expect(record.partition == Int(tenant[1]))
            #expect(record.headers["v"] == "1")
            #expect(record.headers["tenant"] == tenant[0])
            #expect(record.headers["traceparent"] == trace)
            #expect(record.headers["fingerprint"]?.range(of: "^[0-9a-f]{32}$", options: .regularExpression) != nil)
            let acceptedAt = (record.headers["accepted-at"].flatMap { Double($0) } ?? 0) / 1e6
            #expect(acceptedAt >= before && acceptedAt <= Date().timeIntervalSince1970)
            #expect(record.headers["reply-to"] == nil)
            #expect(try LogReader(scene.system).records().filter { $0.headers["id"] == id }.count == 1)
        }

        /// Who asks sees it in the first answer, the final one, every read, the ledger's row, and after a change of the payment.
        @Test func `a payment comes back with the trace that it came with, and one without has none`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let tables = LedgerTables(system: scene.system)
            func pay(_ trace: String?, _ key: String, wait: Int?, more: String = "") throws -> JSON {
                var fields = ["Idempotency-Key": key]
                if let trace { fields["traceparent"] = trace }
                if let wait { fields["Prefer"] = "wait=\(wait)" }
                let body = "{\"debit\":\"\(world)\",\"credit\":\"\(shop)\",\"amount\":5,\"currency\":\"CZK\"\(more)}"
                return try scene.client.send("POST", "/v1/payments", fields, body: body).json
            }
            func row(_ id: String) throws -> String {
                try tables.rows("SELECT coalesce(traceparent, 'none') FROM sluice.payment WHERE id = '\(id)'")[0][0]
            }
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            // A later version, which may be longer and hold what JSON has to escape.
            let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-\"\\"
            for (sent, more) in [(trace, ""), (later, ""), (trace, ",\"capture\":\"manual\"")] {
                let key = newKey()
                #expect(try pay(sent, key, wait: nil, more: more).traceparent.string == sent)
                // A repeat is the same request, whatever it is traced by: it is shown what was decided.
                let final = try pay("00-" + String(repeating: "1", count: 32) + "-2222222222222222-00", key, wait: 10, more: more)
                #expect(final.traceparent.string == sent && final.decided_at.string != nil, "\(final)")
                let id = try #require(final.id.string)
                #expect(try row(id) == sent)
                for gateway in ["gateway-a", "gateway-b"] {
                    let read = try scene.system.client(at: gateway).get("/v1/payments/\(id)")
                    #expect(read.json.traceparent.string == sent, "\(read)")
                }
                let change = try scene.client.change(payment: id, more.isEmpty ? "refunds" : "capture")
                try #require(change.status == 201, "\(change)")
                #expect(try scene.client.get("/v1/payments/\(id)").json.traceparent.string == sent)
                #expect(try row(id) == sent)
            }
            for wrong in [nil, "00-0-0-01", trace.uppercased()] {
                let final = try pay(wrong, newKey(), wait: 10)
                #expect(final.status.string == "settled" && final.traceparent.string == nil, "\(final)")
                #expect(try row(try #require(final.id.string)) == "none")
            }
            try expectLedgerIsSound(scene.system)
        }

        @Test func `every acknowledged command is in the log, in the order of acceptance`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let clients = try ["gateway-a", "gateway-b"].map { try scene.system.client(at: $0) }
            let ids = try (1...20).map { amount in
                try #require(try clients[amount % 2].pay(amount, from: world, to: shop, wait: amount % 3 == 0 ? 5 : nil).json.id.string)
            }
            let records = try LogReader(scene.system).records()
            let wanted = Set(ids)
            #expect(records.compactMap { $0.headers["id"] }.filter(wanted.contains) == ids)
            #expect(Set(records.filter { wanted.contains($0.headers["id"] ?? "") }.map(\.partition)).count == 1)
        }
    }
}

/// Reads `payments.commands` with kcat.
struct LogReader {
    struct Record {
        let partition: Int
        let offset: Int
        let key: String
        let value: String
        let headers: [String: String]

        /// Puts it into the log once more, under its own headers or others.
        func produce(under others: [String: String]? = nil, _ system: SystemUnderTest) throws {
            let fields = (others ?? headers).map { "-H '\($0.key)=\($0.value)'" }.joined(separator: " ")
            let result = try run(
                "/bin/sh",
                [
                    "-c",
                    "printf %s '\(value)' | kcat -P -b \(system.settings["SLUICE_KAFKA"] ?? "") -t payments.commands -p \(partition) "
                        + "-k \(key) \(fields)",
                ])
            guard result.code == 0 else { throw SystemUnderTest.Failure(description: "kcat: \(result.errors)") }
        }
    }

    private let brokers: String

    init(_ system: SystemUnderTest) { brokers = system.settings["SLUICE_KAFKA"] ?? "" }

    /// The last records of each partition, up to where it ends now, in their order. Not all: the suites before this one load
    /// the log with as much as the machine can do.
    func records() throws -> [Record] {
        let result = try run(
            "/usr/bin/kcat",
            [
                "-C", "-b", brokers, "-t", "payments.commands", "-o", "-2000", "-e", "-q", "-J", "-X",
                "receive.message.max.bytes=2000000000",
            ])
        guard result.code == 0 else { throw SystemUnderTest.Failure(description: "kcat: \(result.errors)") }
        return result.output.split(separator: "\n").map { line in
            let json = JSON(String(line))
            // Names and values take turns.
            let words = json.headers.list.compactMap(\.string)
            var headers: [String: String] = [:]
            for index in stride(from: 0, to: words.count - 1, by: 2) { headers[words[index]] = words[index + 1] }
            return Record(
                partition: json.partition.int ?? -1, offset: json.offset.int ?? -1, key: json.key.string ?? "",
                value: json.payload.string ?? "", headers: headers)
        }
    }
}
