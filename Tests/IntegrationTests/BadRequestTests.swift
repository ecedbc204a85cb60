import Testing

extension WholeSystem {
    /// Requests that must be refused, sent byte by byte as the table has them.
    @Suite struct BadRequests {
        @Test(arguments: BadRequest.all)
        func `is refused by a gateway, which serves nothing that was hidden behind it`(request: BadRequest) throws {
            let system = SystemUnderTest.shared
            let connection = try HTTPConnection(system.gatewaySocket("gateway-a", thread: 0), timeoutSeconds: 5)
            let hidden = "GET /v1/accounts?limit=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(system.demoKey)\r\n\r\n"
            try connection.send(filled(request, system.demoKey) + Array(hidden.utf8))
            let answer = try connection.receive()
            expect(answer, request, request.status, request.code)
            switch request.after {
            case .closed:
                #expect(answer["connection"] == "close")
                #expect(connection.isClosed(withinSeconds: 3))
            case .open: #expect(try connection.receive().status == 200)
            }
        }

        /// nginx mends some requests and refuses others by itself; what it passes on is refused as without it.
        @Test(arguments: BadRequest.all.filter { $0.after == .open })
        func `is refused through nginx as well`(request: BadRequest) throws {
            let system = SystemUnderTest.shared
            let connection = try HTTPConnection(system.nginx(), timeoutSeconds: 5)
            try connection.send(filled(request, system.demoKey))
            let (status, code) = request.atTheEdge ?? (request.status, request.code)
            expect(try connection.receive(), request, status, code)
        }

        /// The forms by which one request is hidden in another: whatever nginx makes of them, there is one answer, a refusal.
        @Test(arguments: BadRequest.all.filter { $0.after == .closed })
        func `hides nothing from nginx`(request: BadRequest) throws {
            let system = SystemUnderTest.shared
            let connection = try HTTPConnection(system.nginx(), timeoutSeconds: 5)
            try connection.send(filled(request, system.demoKey))
            connection.finishSending()
            guard let answer = try? connection.receive() else { return }
            #expect(
                (400..<600).contains(answer.status) && answer.problemCode != nil || answer.status == 200 && isHarmless(request), "\(answer)"
            )
            #expect((try? connection.receive()) == nil)
        }

        @Test func `the table is as long as it should be, and each name is there once`() {
            #expect(BadRequest.all.count >= 100)
            #expect(Set(BadRequest.all.map(\.name)).count == BadRequest.all.count)
        }

        @Test func `no refused request left a trace in the ledger or the log`() throws {
            let system = SystemUnderTest.shared
            #expect(try LedgerTables(system: system).count("SELECT count(*) FROM sluice.account WHERE id IN ('a', 'b')") == 0)
            #expect(try LogReader(system).records().filter { $0.value.contains("\"debit\":\"a\"") }.isEmpty)
        }

        private func filled(_ request: BadRequest, _ key: String) -> [UInt8] {
            Self.replace(Self.replace(request.text, "NEW", newKey()), "KEY", key)
        }

        private func expect(_ answer: HTTPResponse, _ request: BadRequest, _ status: Int, _ code: String) {
            #expect(answer.status == status, "\(answer)")
            #expect(answer.problemCode == code, "\(answer)")
            guard let pointer = request.pointer else { return }
            let errors = answer.json.errors.list.map { "\($0.pointer.string ?? "-") \($0.code.string ?? "-")" }
            #expect(errors.contains("\(pointer) \(request.pointerCode ?? "")"), "\(answer)")
        }

        /// A `GET` that nginx has mended on its way: it says so by being a read.
        private func isHarmless(_ request: BadRequest) -> Bool { request.text.starts(with: Array("GET ".utf8)) }

        /// Bytes, not text: some requests are no UTF-8.
        private static func replace(_ bytes: [UInt8], _ mark: String, _ value: String) -> [UInt8] {
            let mark = Array(mark.utf8)
            var result: [UInt8] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                if rest.starts(with: mark) {
                    result += Array(value.utf8)
                    rest = rest.dropFirst(mark.count)
                } else {
                    result.append(rest.removeFirst())
                }
            }
            return result
        }
    }
}
