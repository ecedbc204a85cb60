import Bytes
import Store
import Testing

@Suite struct RedisFunctionsTests {
    /// SHA-256 of `infra/redis/sluice.lua` in each version. A build that has run loads what stands here under that number, and would
    /// take another text's functions for its own: a line is never edited, a change of the file is the next version and the next line.
    private static let versions: [(number: Int, digest: String)] = [
        (2, "a4cab3fa1047ec01117d9a04975a3d8ed3a89a27f580f8ed23b560b739c6a120"),
        (3, "f52413edf9a8da42e3d6e9fec85370610886e8b30caecd101abc9a931b209ba6"),
    ]

    @Test func `the functions are those of their version, which rises with every change`() throws {
        let source: [UInt8] = Array(RedisFunctions.source.utf8)
        var digest: [UInt8] = []
        SHA256().hash(of: source.span).append(to: &digest)
        let last = try #require(Self.versions.last)
        #expect(
            Hex.text(digest.span) == last.digest,
            "sluice.lua has changed: raise its version (its first line, its prefix, RedisFunctions.prefix, docs) and add a line here")
        #expect("\(RedisFunctions.prefix)" == "sluice_\(last.number)_")
        #expect(RedisFunctions.source.hasPrefix("#!lua name=sluice_\(last.number)\n"))
        #expect(RedisFunctions.source.contains("\nlocal prefix = 'sluice_\(last.number)_'\n"))
        #expect(Self.versions.map(\.number) == Array(2..<2 + Self.versions.count))
        #expect(Set(Self.versions.map(\.digest)).count == Self.versions.count)
    }
}
