import Glibc
import HTTP1
import Ledger
import Testing
import Wire

@testable import Gateway

/// `docs/openapi.yaml` against what is served. It is read line by line: its outline is fixed, and a parser of YAML would be a
/// dependency for one file.
@Suite struct DocumentedAPITests {
    private static let lines: [String] = {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        guard let file = unsafe fopen("\(root)/docs/openapi.yaml", "r") else { return [] }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 256 * 1024)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }()

    /// The methods of each path, in the document's order.
    private static let operations: [(path: String, methods: [String])] = {
        var result: [(path: String, methods: [String])] = []
        for line in lines.drop(while: { $0 != "paths:" }).dropFirst().prefix(while: { $0 != "components:" }) {
            if line.hasPrefix("  /") { result.append((String(line.dropFirst(2).dropLast()), [])) }
            if line == "    get:" || line == "    post:" { result[result.count - 1].methods.append(String(line.dropFirst(4).dropLast())) }
        }
        return result
    }()

    /// The words of a list in brackets: the first after `mark`, which is looked for after the line `section`.
    private static func words(ofList mark: String, after section: String) -> [String] {
        let text = lines.drop { $0 != section }.joined(separator: " ")
        guard let list = text.split(separator: mark, maxSplits: 1).dropFirst().first else { return [] }
        return list.prefix { $0 != "]" }.split { $0 == "," || $0 == " " }.map(String.init)
    }

    @Test func `each path is served with the methods that are documented, and no others`() {
        #expect(Self.operations.count == 14)
        for (path, methods) in Self.operations {
            let concrete = path.split(separator: "/").map { $0.hasPrefix("{") ? "0a" : String($0) }.joined(separator: "/")
            let allowed = withHead("GET /\(concrete) HTTP/1.1\r\nHost: a\r\n\r\n") { head, bytes in
                Resource.find(head.path, in: bytes).map { "\($0.allowedMethods(.all))" }
            }
            let names = (methods.contains("get") ? ["GET", "HEAD"] : []) + (methods.contains("post") ? ["POST"] : [])
            #expect(allowed == names.joined(separator: ", "), "\(path)")
        }
    }

    @Test func `each resource is documented`() {
        let paths = Set(Self.operations.map(\.path))
        var served = ["/v1/payments", "/v1/payments/{payment}", "/v1/batches", "/v1/accounts", "/v1/accounts/{account}"]
        served += ["/v1/accounts/{account}/balance", "/v1/accounts/{account}/transactions"]
        served += PaymentVerb.allCases.map { "/v1/payments/{payment}/\($0.segment)" }
        served += AccountVerb.allCases.map { "/v1/accounts/{account}/\($0.segment)" }
        #expect(paths == Set(served))
    }

    @Test func `problems, their places, reasons to decline and currencies are those that there are`() {
        let problems = Self.words(ofList: "enum: [", after: "    Problem:")
        #expect(problems == ProblemCode.allCases.map { "\($0.entry.code)" })
        let places = Self.words(ofList: "enum: [required, ", after: "    Problem:")
        #expect(["required"] + places == ValidationProblem.Code.allCases.map { "\($0.text)" })
        let reasons = Self.words(ofList: "enum: [", after: "    DeclineReason:")
        #expect(Set(reasons) == Set(DeclineReason.allCases.map { "\($0.code)" }))
        let currencies = Self.words(ofList: "enum: [", after: "    Currency:")
        #expect(currencies.count == 157 && currencies.allSatisfy { Currency($0) != nil })
    }
}
