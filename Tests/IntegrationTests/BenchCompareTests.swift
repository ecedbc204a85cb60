import Foundation
import Testing

/// `sluice bench compare` on the runs that the repository keeps, which readers are told to set theirs beside. It needs no system.
@Suite struct BenchCompareTests {
    private static let baselines = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../loadtest/baselines").path

    private final class Folder {
        let path = NSTemporaryDirectory() + "sluice-compare-\(UUID().uuidString)"

        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }

        func write(_ text: String, to name: String) throws -> String {
            try Data(text.utf8).write(to: URL(filePath: path + "/" + name))
            return path + "/" + name
        }

        /// A kept run with some of its numbers changed; each is named by the members that lead to it.
        func kept(_ name: String, _ factors: [String: Double] = [:], format: String? = nil) throws -> String {
            let data = try #require(FileManager.default.contents(atPath: BenchCompareTests.baselines + "/floor-nginx.json"))
            var report = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            for (place, factor) in factors {
                let words = place.split(separator: ".").map(String.init)
                if words.count == 1 {
                    report[words[0]] = try #require(report[words[0]] as? Double, "\(place)") * factor
                } else {
                    var group = try #require(report[words[0]] as? [String: Any], "\(place)")
                    group[words[1]] = try #require(group[words[1]] as? Double, "\(place)") * factor
                    report[words[0]] = group
                }
            }
            if let format { report["format"] = format }
            return try write(String(decoding: try JSONSerialization.data(withJSONObject: report), as: UTF8.self), to: name)
        }
    }

    private func compare(_ arguments: String...) throws -> ProgramResult {
        try run(try SystemUnderTest.executable(), ["bench", "compare"] + arguments)
    }

    @Test func `runs that are alike, or better, exit with 0 and show both sides with the spread`() throws {
        let folder = try Folder()
        let base = try folder.kept("base.json")
        let same = try compare(base, base)
        #expect(same.code == 0 && same.errors.isEmpty, "\(same)")
        let lines = same.output.split(separator: "\n").map(String.init)
        #expect(lines.first?.contains("spread of before") == true)
        #expect(lines.contains { $0.hasPrefix("reads p99 (ms)") && $0.contains("+0.0 %") }, "\(same.output)")
        // Of one run: the quartiles over its seconds.
        #expect(lines.contains { $0.hasPrefix("all p99 (ms)") && $0.contains(" to ") }, "\(same.output)")
        #expect(lines.last?.hasPrefix("no figure is worse by more than 10 %") == true)

        let better = try compare(base, try folder.kept("better.json", ["reads.p99": 0.5, "achieved_per_second": 1.5]))
        #expect(better.code == 0 && better.output.contains("better") && !better.output.contains("WORSE"), "\(better)")
    }

    @Test(arguments: [
        (["reads.p99": 1.5], "reads p99"), (["writes.p50": 2.0], "writes p50"), (["achieved_per_second": 0.5], "answers"),
        (["reads.p99": 0.5, "writes.p99_9": 3.0], "writes p99.9"),
    ])
    func `a figure that is worse beyond the threshold exits with 3 and is named`(factors: [String: Double], figure: String) throws {
        let folder = try Folder()
        let (base, worse) = (try folder.kept("base.json"), try folder.kept("worse.json", factors))
        let result = try compare(base, worse)
        #expect(result.code == 3, "\(result)")
        #expect(result.output.hasSuffix("REGRESSION: \(figure)\n") && result.output.contains("WORSE"), "\(result.output)")
        // The other way round it is none, and neither is it where so much is allowed.
        let allowed = try compare(base, worse, "--threshold", "250")
        #expect(allowed.code == 0, "\(allowed)")
    }

    @Test func `what the base shows by itself, over several runs, is no regression`() throws {
        let folder = try Folder()
        let runs = try [1.0, 1.6, 1.2].enumerated().map { try folder.kept("base-\($0.offset).json", ["reads.p99": $0.element]) }
        let base = runs.joined(separator: ",")
        let within = try compare(base, try folder.kept("within.json", ["reads.p99": 1.55]))
        #expect(within.code == 0, "\(within)")
        let beyond = try compare(base, try folder.kept("beyond.json", ["reads.p99": 1.9]))
        #expect(beyond.code == 3 && beyond.output.contains("REGRESSION: reads p99"), "\(beyond)")
        // The same beside one of them alone.
        #expect(try compare(runs[0], folder.path + "/within.json").code == 3)
    }

    @Test func `a file that is missing or no such report is named, and exits with 64`() throws {
        let folder = try Folder()
        let base = try folder.kept("base.json")
        let others = [
            (folder.path + "/none.json", "cannot be read"), (folder.path, "cannot be read"),
            (try folder.write("nonsense", to: "nonsense.json"), "is no report of `sluice bench --json`"),
            (try folder.write("{}", to: "empty.json"), "is no report of `sluice bench --json`"),
            (try folder.write("[1, 2]", to: "list.json"), "is no report of `sluice bench --json`"),
            (try folder.kept("later.json", format: "sluice-bench-2"), "or of another version"),
        ]
        for (path, problem) in others {
            for arguments in [(base, path), (path, base), (base, "\(base),\(path)")] {
                let result = try compare(arguments.0, arguments.1)
                #expect(result.code == 64 && result.output.isEmpty, "\(path): \(result)")
                #expect(result.errors.contains("\(path): ") && result.errors.contains(problem), "\(result.errors)")
            }
        }
        #expect(try compare(base, base, "--threshold", "2000").errors.contains("--threshold: use 0 to 1000"))
        #expect(try compare(base).code == 64)
        #expect(try compare(base, ",").code == 64)
    }

    /// Exit codes are for scripts: the kept runs must stay readable by the build that they are kept beside.
    @Test func `every run that the repository keeps can be read`() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.baselines).filter { $0.hasSuffix(".json") }
        #expect(names.contains("floor-nginx.json"))
        for name in names {
            let path = "\(Self.baselines)/\(name)"
            let result = try compare(path, path)
            #expect(result.code == 0, "\(name): \(result)")
        }
    }
}
