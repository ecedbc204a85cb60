import Foundation
import Testing

extension WholeSystem {
    /// What clients send in confidence stands in the ledger and nowhere else; `SystemUnderTest.stop` looks once more at the end of the suite.
    @Suite struct Secrets {
        static let card = "4111 1111 1111 1111".replacingOccurrences(of: " ", with: "")

        @Test func `the search finds what it looks for`() {
            #expect(SecretSearch.secrets(in: "card=\(Self.card);", known: []) == ["a number like a card's"])
            #expect(SecretSearch.secrets(in: "\"time_us\":1795903478821060,\"id\":\"4111111111111112\"", known: []) == [])
            #expect(SecretSearch.secrets(in: "x 0123abcd y", known: ["0123abcd"]) == ["a password"])
            let key = "sk_0123456789abcdef_" + String(repeating: "A", count: 43)
            #expect(SecretSearch.secrets(in: "Bearer \(key)\n", known: []) == ["an API key"])
            #expect(SecretSearch.secrets(in: "key sk_0123456789abcdef", known: []) == [])
        }

        @Test func `nothing of a request's secrets is in any log, whatever becomes of the request`() throws {
            let scene = try Scene()
            let world = try scene.world()
            let shop = try scene.open("shop")
            let system = scene.system
            func payment(_ more: String) -> String {
                "{\"debit\":\"\(world)\",\"credit\":\"\(shop)\",\"amount\":5,\"currency\":\"CZK\"\(more)}"
            }
            let metadata = ",\"metadata\":{\"card\":\"\(Self.card)\",\"note\":\"hush-hush-in-metadata\"}"
            let reference = ",\"reference\":\"hush-hush-in-reference \(Self.card)\""
            for (key, body) in [
                ("Bearer \(system.demoKey)", payment(metadata + reference)), ("Bearer \(system.demoKey)", payment(metadata + ",")),
                ("Bearer \(system.demoKey)", payment(metadata.replacingOccurrences(of: "metadata\":", with: "unknown\":"))),
                ("Bearer sk_0123456789abcdef_hush-hush-in-key", payment(metadata)), ("Basic \(Self.card)", payment(metadata)),
            ] {
                let connection = try HTTPConnection(try system.nginx())
                try connection.send(
                    "POST /v1/payments?card=\(Self.card) HTTP/1.1\r\nHost: a\r\nAuthorization: \(key)\r\nIdempotency-Key: hush-hush-in-key-\(newKey())\r\n"
                        + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                _ = try connection.receive()
            }
            _ = try scene.client.get("/v1/payments?reference=hush-hush-in-reference%20\(Self.card)")
            // nginx writes its log once a second.
            usleep(1_300_000)
            #expect(SecretSearch(data: system.data).leaks == [])
        }
    }
}
