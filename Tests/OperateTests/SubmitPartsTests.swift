import Foundation
import Loop
import Testing

@testable import Operate

/// The parts of `sluice submit` that need no connection.
@Suite struct SubmitPartsTests {
    private func lines(_ bytes: [UInt8]) throws -> [LineReader.Line] {
        let path = FileManager.default.temporaryDirectory.path + "/sluice-lines-\(UUID())"
        try Data(bytes).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let reader = try LineReader(path: path)
        var lines: [LineReader.Line] = []
        while let line = try reader.next() {
            lines.append(line)
            #expect(reader.number == lines.count)
        }
        return lines
    }

    private func text(_ text: String) -> LineReader.Line { .text(Array(text.utf8)) }

    @Test func `lines end with LF or CRLF and the last one need not`() throws {
        #expect(try lines([]) == [])
        #expect(try lines(Array("a\r\n\nb".utf8)) == [text("a"), text(""), text("b")])
        #expect(try lines(Array("a\n".utf8)) == [text("a")])
        #expect(try lines([0xEF, 0xBB, 0xBF] + Array("a\n".utf8)) == [text("a")])
    }

    @Test(arguments: [0, 1, 2, 100_000, 600_000]) func `a line that is too long is passed over and those around it are not`(more: Int)
        throws
    {
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: LineReader.lineBytesMax + more)
        let found = try lines(Array("a\n".utf8) + long + Array("\r\nb\n".utf8))
        #expect(found == [text("a"), more == 0 ? .text(long) : .tooLong, text("b")])
        #expect(try lines(long) == [more == 0 ? .text(long) : .tooLong])
    }

    @Test func `lines that cross the reader's chunks are whole`() throws {
        let expected = (0..<40_000).map { "line \($0) " + String(repeating: "y", count: $0 % 37) }
        #expect(try lines(Array(expected.joined(separator: "\n").utf8)) == expected.map(text))
    }

    @Test func `fields of a CSV record`() {
        func cells(_ line: String) -> [String]? { CSVReader.cells(Array(line.utf8))?.map { String(decoding: $0, as: UTF8.self) } }
        #expect(cells("") == [""])
        #expect(cells("a,b") == ["a", "b"])
        #expect(cells(",a,") == ["", "a", ""])
        #expect(cells(#""a,""b""","",c"#) == [#"a,"b""#, "", "c"])
        for line in [#"a"b"#, #""a"#, #""a"b,c"#, #"a,"b"#, #"""""# + "x"] { #expect(cells(line) == nil, "\(line)") }
    }

    @Test func `a header with an unknown or a repeated column is refused`() {
        func problem(_ header: String) -> String? {
            do throws(OperateError) { _ = try CSVReader(header: Array(header.utf8)) } catch { return "\(error)" }
            return nil
        }
        #expect(problem("type,account,amount,metadata.a") == nil)
        #expect(problem("debit,colour")?.contains("column `colour` is not known") == true)
        #expect(problem("id,account")?.contains("column `account` is there twice") == true)
        #expect(problem("metadata.")?.contains("not known") == true)
    }

    @Test func `a cell cannot add members to its record`() throws {
        let reader = try CSVReader(header: Array("debit,amount".utf8))
        let object = try reader.object(Array(#"a,"1,""key"":""x""""#.utf8)).get()
        #expect(String(decoding: object, as: UTF8.self) == #"{"debit":"a","amount":"1,\"key\":\"x\""}"#)
    }

    @Test(arguments: [
        (202, #"{"id":"p","status":"processing"}"#, SubmitAnswer.Verdict.accepted(id: "p", nil)),
        (201, #"{"id":"p","status":"settled"}"#, .accepted(id: "p", .settled)),
        (
            200, #"{"id":"p","status":"declined","decline_reason":"account_closed"}"#,
            .accepted(id: "p", .declined(reason: "account_closed"))
        ),
        (200, #"{"id":"p","status":"quarantined"}"#, .accepted(id: "p", .quarantined)),
        (
            402, #"{"status":402,"code":"insufficient_funds","payment":{"id":"p"}}"#,
            .accepted(id: "p", .declined(reason: "insufficient_funds"))
        ),
        (429, "", .retry(reason: "429 ")),
        (503, #"{"code":"not_accepted"}"#, .retry(reason: "503 not_accepted")),
        (502, "<html>", .retry(reason: "502 ")),
        (404, #"{"code":"payment_not_visible_yet","retryable":true}"#, .retry(reason: "404 payment_not_visible_yet")),
        (404, #"{"code":"not_found","retryable":false,"title":"No"}"#, .refused(code: "not_found", detail: "No")),
        (500, "", .retry(reason: "500 ")),
        (501, "", .refused(code: "http_501", detail: "")),
        (
            422, #"{"code":"validation_failed","errors":[{"pointer":"/amount","detail":"bad"}]}"#,
            .refused(code: "validation_failed", detail: "/amount: bad")
        ),
    ])
    func `what an answer means`(status: Int, body: String, verdict: SubmitAnswer.Verdict) {
        var answer = SubmitAnswer(status: status)
        answer.content = SubmitAnswer.content(of: Array(body.utf8))
        #expect(answer.verdict == verdict)
    }

    @Test func `a URL is read into an address`() throws {
        #expect(try SubmitTarget.resolve("http://127.0.0.1:8080/").address == .tcp(address: "127.0.0.1", port: 8080))
        #expect(
            try SubmitTarget.resolve("http://[::1]:81/api/")
                == SubmitTarget(
                    address: .tcp(address: "::1", port: 81), host: "[::1]:81", pathPrefix: "/api"))
        #expect(try SubmitTarget.resolve("http://127.0.0.1").address == .tcp(address: "127.0.0.1", port: 80))
        for url in ["https://127.0.0.1", "127.0.0.1:80", "http://", "http://h:0", "http://h:x", "http://a@b/", "http://h/a?b"] {
            #expect(throws: OperateError.self, "\(url)") { try SubmitTarget.resolve(url) }
        }
    }
}
