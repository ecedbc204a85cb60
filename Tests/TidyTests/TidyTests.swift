import Testing

/// The rules of the house that the compiler does not check. Each has a test on the tree, and one that finds a planted
/// violation: a rule that finds nothing anywhere proves nothing.
@Suite struct TidyTests {
    func found(_ path: String, _ text: String, by rule: (SourceFile) -> [Violation]) -> [String] {
        rule(SourceFile(path: path, text: text)).map(\.description)
    }

    @Test func `the tree is where it is looked for`() {
        #expect(SourceTree.swift.contains { $0.path == "Tests/TidyTests/TidyTests.swift" })
        #expect(SourceTree.swift.filter { $0.module != nil }.count > 40)
        #expect(SourceTree.c.contains { $0.path == "CShims/CSystem/include/csystem.h" })
    }

    // Imports

    @Test func `every import is one that the module table grants`() {
        #expect(SourceTree.swift.flatMap(Rules.imports).map(\.description) == [])
    }

    @Test(arguments: [
        ("Ledger", "import Bytes", "Ledger may not import Bytes"),
        ("Wire", "public import Store", "Wire may not import Store"),
        ("Gateway", "internal import Worker", "Gateway may not import Worker"),
        ("Ledger", "import Glibc", "Ledger may not import Glibc"),
        ("HTTP1", "private import CSystem", "HTTP1 may not import CSystem"),
        ("Gateway", "fileprivate import Foundation", "Gateway may not import Foundation"),
        ("Wire", "package import FoundationEssentials", "Wire may not import FoundationEssentials"),
        ("Loop", "import Dispatch", "Loop may not import Dispatch"),
        ("Worker", "import struct Foundation.Date", "Worker may not import Foundation"),
        ("Loop", "import Bytes; import Foundation", "Loop may not import Foundation"),
        ("Redis", "@preconcurrency import CLibpq", "Redis may not import CLibpq"),
        ("Worker", "@testable import Ledger", "@testable import"),
        ("Store", "@_exported public import Wire", "@_exported import"),
        ("Unheard", "import Bytes", "Unheard may not import Bytes"),
    ])
    func `an import that is not granted is found`(module: String, text: String, message: String) {
        #expect(
            found("Sources/\(module)/Deep/X.swift", "// A file.\n\(text)\n", by: Rules.imports) == [
                "Sources/\(module)/Deep/X.swift:2: \(message)"
            ])
    }

    @Test func `imports that are granted and words that only look like imports are let pass`() {
        let text = """
            public import Bytes
            internal import Glibc
            import Synchronization
            // import Foundation
            /* import Foundation
            import Foundation */
            let text = "import Foundation"
            let more = \"\"\"
                import Foundation
                \"\"\"
            func important(import: Int) {}
            """
        #expect(found("Sources/Loop/X.swift", text, by: Rules.imports) == [])
        #expect(found("Tests/LoopTests/X.swift", "import Foundation", by: Rules.imports) == [])
    }

    @Test func `each row of the table is the one that the architecture page shows`() {
        var shown: [Int: Set<String>] = [:]
        for line in SourceTree.file("docs/architecture.md").text.split(separator: "\n") {
            let cells = line.split(separator: "|").map { $0.trimmingPrefix { $0 == " " } }
            guard cells.count == 2, let row = Int(cells[0].filter(\.isNumber)), line.hasPrefix("| \(row) |") else { continue }
            // The names stand between backticks: every second part.
            shown[row] = Set(
                cells[1].split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map {
                    String($0.element)
                })
        }
        #expect(shown.removeValue(forKey: 0) == ["CShims"])
        #expect(shown == ModuleTable.rows)
    }

    // Package.swift

    @Test func `the manifest's dependencies keep the order of the rows`() {
        let manifest = PackageManifest(String(decoding: SourceTree.file("Package.swift").source.codeWithStrings, as: UTF8.self))
        #expect(manifest.targets.first { $0.name == "sluice" }?.dependencies.contains("ArgumentParser") == true)
        #expect(manifest.targets.first { $0.name == "Store" }?.dependencies.contains("Wire") == true)
        #expect(manifest.violations(folders: SourceTree.folders(in: "Sources")).map(\.message) == [])
    }

    @Test func `a dependency against the order of the rows is found`() {
        let text = """
            func module(_ name: String) -> Target { .target(name: name, path: "Sources/\\(name)") }
            module("Ledger"),
            module("Bytes", ["Ledger", "CDigest"]),
            .target(name: "Store", dependencies: ["Wire", "Gateway"], path: "Sources/Store", resources: [.embedInCode("SQL/a.sql")]),
            .executableTarget(name: "sluice", dependencies: ["Gateway", .product(name: "NIO", package: "swift-nio"), "Worker"]),
            module("Unheard"),
            """
        let messages = PackageManifest(text).violations(folders: ["Ledger", "Bytes", "Store", "sluice", "Pool"]).map(\.message)
        #expect(
            Set(messages) == [
                "Bytes may not depend on Ledger", "Store may not depend on Gateway", "sluice may not depend on NIO",
                "Unheard is in no row of the module table", "Unheard is either no target or no folder of Sources",
                "Pool is either no target or no folder of Sources",
            ])
    }

    // Concurrency

    @Test func `the compiler's proof of thread safety is switched off nowhere but where a reason is given`() {
        #expect(Rules.concurrency(SourceTree.swift, exemptions: ConcurrencyExemption.all).map(\.description) == [])
        #expect(ConcurrencyExemption.all.allSatisfy { !$0.reason.isEmpty })
        #expect(ConcurrencyExemption.all.count <= 5)
    }

    @Test func `a proof that is switched off is found and so is an exemption that nothing needs`() {
        let file = SourceFile(
            path: "Sources/Pool/X.swift",
            text: "final class A: @unchecked Sendable {}\n// @unchecked Sendable\nnonisolated(unsafe) var b = 0\n")
        func check(_ exemptions: [ConcurrencyExemption]) -> [String] {
            Rules.concurrency([file], exemptions: exemptions).map(\.description)
        }
        func exempt(_ path: String, _ construct: String, _ count: Int) -> ConcurrencyExemption {
            ConcurrencyExemption(path: path, construct: construct, count: count, reason: "a test")
        }
        #expect(check([]) == ["Sources/Pool/X.swift:1: @unchecked Sendable", "Sources/Pool/X.swift:3: nonisolated(unsafe)"])
        #expect(check([exempt(file.path, "@unchecked Sendable", 1)]) == ["Sources/Pool/X.swift:3: nonisolated(unsafe)"])
        #expect(
            check([exempt(file.path, "@unchecked Sendable", 1), exempt(file.path, "nonisolated(unsafe)", 2)])
                == ["Sources/Pool/X.swift:1: fewer nonisolated(unsafe) than are exempt"])
        #expect(check([exempt("Sources/Gone.swift", "nonisolated(unsafe)", 1)]).last == "Sources/Gone.swift:1: exempt, and not there")
    }

    // Comments, layout, length

    @Test func `no comment says that the work is not done`() {
        #expect((SourceTree.swift + SourceTree.c).flatMap(Rules.unfinished).map(\.description) == [])
    }

    @Test(arguments: ["TODO", "FIXME", "XXX"])
    func `a comment that says so is found`(mark: String) {
        for text in ["let a = 1  // \(mark): later", "/// \(mark)", "/* a\n * \(mark)(me) */"] {
            #expect(found("Sources/Pool/X.swift", text, by: Rules.unfinished).count == 1)
        }
        #expect(found("Sources/Pool/X.swift", "let a = \"\(mark)\"  // \(mark)S are for others", by: Rules.unfinished) == [])
    }

    @Test func `no line has a tab or ends in white space`() {
        #expect((SourceTree.swift + SourceTree.c).flatMap(Rules.whitespace).map(\.description) == [])
    }

    @Test func `a tab and white space at a line's end are found`() {
        #expect(
            found("A.swift", "let a = 1 \n\tlet b = 2\nlet c = 3\r\nlet d = 4\n", by: Rules.whitespace)
                == ["A.swift:1: white space at the end", "A.swift:2: a tab", "A.swift:3: white space at the end"])
    }

    @Test func `no source is too long to be one noun`() {
        #expect(SourceTree.swift.filter { $0.module != nil }.flatMap(Rules.length).map(\.description) == [])
    }

    @Test func `a file that is too long is found`() {
        let longest = String(repeating: "a\n", count: Rules.linesMax)
        #expect(found("A.swift", longest, by: Rules.length) == [])
        #expect(found("A.swift", longest + "a\n", by: Rules.length).count == 1)
    }

    // C

    @Test func `every name that a header of ours declares begins with sluice`() {
        let headers = SourceTree.c.filter { $0.path.contains("/include/") && $0.path.hasSuffix(".h") }
        #expect(headers.flatMap { CHeader($0.source).violations(path: $0.path) }.map(\.description) == [])
        let names = headers.flatMap { CHeader($0.source).names.map(\.name) }
        #expect(names.contains("sluice_eventfd_open") && names.contains("sluice_sha256") && names.contains("sluice_spawn_request"))
    }

    @Test(arguments: [
        ("int eventfd_open(void);", "eventfd_open"),
        ("const char *_Nonnull *_Nullable names_of(const struct pg_result *_Nonnull result, int (*_Nonnull row)(int));", "names_of"),
        ("static inline uint32_t twice(uint32_t value) { return value * 2; }", "twice"),
        ("int sluice_a(void) __attribute__((warn_unused_result)); int b(void);", "b"),
        ("struct request { int size; };", "request"),
        ("typedef struct sluice_a { int size; } a;", "a"),
        ("typedef enum sluice_kind : uint8_t { SLUICE_ONE = 1, TWO, SLUICE_THREE } sluice_kind;", "TWO"),
        ("enum { LOOSE = sizeof(int) };", "LOOSE"),
        ("typedef void (*_Nonnull callback)(void *_Nullable context);", "callback"),
        ("extern const int limit;", "limit"),
        ("#define LIMIT 5", "LIMIT"),
        ("extern \"C\" {\nint inside(void);\n}", "inside"),
    ])
    func `a name that does not is found`(text: String, name: String) {
        #expect(CHeader(SourceText(text)).violations(path: "a.h").map(\.message) == ["\(name) does not begin with sluice_"])
    }

    @Test func `names that a header only uses are let pass`() {
        let text = """
            #ifndef SLUICE_X_H
            #define SLUICE_X_H
            #include <stdint.h>
            struct rd_kafka_s;
            // int other(void);
            typedef struct sluice_json sluice_json;
            typedef enum __attribute__((enum_extensibility(closed))) sluice_kind : uint8_t {
                SLUICE_OK SLUICE_NAME("ok") = 0,
                SLUICE_BAD SLUICE_NAME("bad"),
            } sluice_kind;
            struct sluice_list { const uint8_t *_Nullable __counted_by(count) bytes; size_t count; };
            _Static_assert(sizeof(struct sluice_list) == 16, "layout");
            int sluice_use(struct rd_kafka_s *_Nonnull client, void (*_Nonnull done)(int code), size_t bytes[_Nonnull 32]);
            #endif
            """
        #expect(CHeader(SourceText(text)).violations(path: "a.h").map(\.message) == [])
    }
}
