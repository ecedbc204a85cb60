import Bytes
import Testing

@testable import Gateway

@Suite struct NearCacheTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func find(_ cache: NearCache, _ key: String, now: UInt64) -> (revision: Int64, body: String)? {
        let key = bytes(key)
        guard let hit = cache.find(key.span, nowMilliseconds: now) else { return nil }
        return (hit.revision, String(decoding: cache.bytes[hit.body], as: UTF8.self))
    }

    private func expect(_ cache: inout NearCache, _ key: String, now: UInt64) -> NearCache.Ticket {
        let key = bytes(key)
        return cache.expect(key.span, nowMilliseconds: now)
    }

    private func keep(_ cache: inout NearCache, _ ticket: NearCache.Ticket, _ key: String, _ revision: Int64, _ body: String, now: UInt64) {
        let key = bytes(key)
        let body = bytes(body)
        cache.keep(ticket, key.span, revision: revision, body: body.span, nowMilliseconds: now)
    }

    private func invalidate(_ cache: inout NearCache, _ key: String) {
        let key = bytes(key)
        cache.invalidate(key.span)
    }

    private func make(bytesMax: Int = 64 * 1024) -> NearCache { NearCache(bytesMax: bytesMax, ageMillisecondsMax: 1_000) }

    @Test func `a value that was asked for and kept is found, with its revision`() {
        var cache = make()
        let ticket = expect(&cache, "a:{1}:x", now: 100)
        #expect(find(cache, "a:{1}:x", now: 100) == nil)
        keep(&cache, ticket, "a:{1}:x", 7, "{\"seven\"}", now: 101)
        let found = find(cache, "a:{1}:x", now: 102)
        #expect(found?.revision == 7)
        #expect(found?.body == "{\"seven\"}")
        #expect(find(cache, "a:{1}:y", now: 102) == nil)
    }

    @Test func `an invalidation that overtakes the reply keeps the reply from being kept`() {
        var cache = make()
        let ticket = expect(&cache, "k", now: 0)
        invalidate(&cache, "k")
        keep(&cache, ticket, "k", 1, "old", now: 1)
        #expect(find(cache, "k", now: 1) == nil)
        // The next question is none the worse for it.
        let next = expect(&cache, "k", now: 2)
        keep(&cache, next, "k", 2, "new", now: 3)
        #expect(find(cache, "k", now: 3)?.body == "new")
    }

    @Test func `a reply to a question from before the invalidation does not pass for the one asked after it`() {
        var cache = make()
        let before = expect(&cache, "k", now: 0)
        invalidate(&cache, "k")
        let after = expect(&cache, "k", now: 1)
        keep(&cache, before, "k", 1, "old", now: 2)
        #expect(find(cache, "k", now: 2) == nil)
        keep(&cache, after, "k", 2, "new", now: 3)
        #expect(find(cache, "k", now: 3)?.body == "new")
    }

    @Test func `a question about a key is asked once at a time`() {
        var cache = make()
        let first = expect(&cache, "k", now: 0)
        #expect(first != .none)
        #expect(expect(&cache, "k", now: 1) == .none)
        let key = bytes("k")
        cache.forget(first, key.span)
        #expect(expect(&cache, "k", now: 2) != .none)
        // One that was never answered does not block the key for ever.
        #expect(expect(&cache, "k", now: 1_003) != .none)
    }

    @Test func `an invalidation removes the value, and removing all removes questions too`() {
        var cache = make()
        for key in ["a", "b"] {
            let ticket = expect(&cache, key, now: 0)
            keep(&cache, ticket, key, 1, key, now: 0)
        }
        invalidate(&cache, "a")
        #expect(find(cache, "a", now: 0) == nil)
        #expect(find(cache, "b", now: 0) != nil)
        let open = expect(&cache, "c", now: 0)
        cache.removeAll()
        keep(&cache, open, "c", 1, "c", now: 0)
        #expect(find(cache, "b", now: 0) == nil)
        #expect(find(cache, "c", now: 0) == nil)
    }

    @Test func `a value lives for a second from its question, not from its reply`() {
        var cache = make()
        let ticket = expect(&cache, "k", now: 5_000)
        keep(&cache, ticket, "k", 1, "v", now: 5_900)
        #expect(find(cache, "k", now: 5_999) != nil)
        #expect(find(cache, "k", now: 6_000) == nil)
        let late = expect(&cache, "k", now: 7_000)
        keep(&cache, late, "k", 1, "v", now: 8_000)
        #expect(find(cache, "k", now: 8_000) == nil)
    }

    /// Against a dictionary: whatever is found is the last thing kept and not invalidated, and the memory never grows.
    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func `what is found is what was kept last, in memory that does not grow`(seed: UInt64) {
        var random = SplitMix(state: seed)
        var cache = make()
        let reserved = cache.bytesReserved
        #expect(reserved <= 80 * 1024, "\(reserved)")
        var model: [String: (revision: Int64, body: String)] = [:]
        var open: [(ticket: NearCache.Ticket, key: String)] = []
        var hits = 0
        for now in 0..<40_000 as Range<UInt64> {
            let key = "a:{1}:account-\(random.below(200))"
            switch random.below(10) {
            case 0:
                invalidate(&cache, key)
                model[key] = nil
                open.removeAll { $0.key == key }
            case 1, 2, 3:
                let ticket = expect(&cache, key, now: now / 20)
                guard ticket != .none else { continue }
                model[key] = nil
                open.removeAll { $0.key == key }
                open.append((ticket, key))
            case 4, 5, 6:
                guard !open.isEmpty else { continue }
                let (ticket, asked) = open.remove(at: Int(random.below(UInt64(open.count))))
                let body = String(repeating: "x", count: Int(random.below(900))) + "\(now)"
                keep(&cache, ticket, asked, Int64(now), body, now: now / 20)
                model[asked] = (Int64(now), body)
            default:
                guard let found = find(cache, key, now: now / 20) else { continue }
                hits += 1
                #expect(found.revision == model[key]?.revision)
                #expect(found.body == model[key]?.body)
            }
        }
        #expect(hits > 1_000, "\(hits)")
        #expect(cache.bytesReserved == reserved)
    }

    @Test func `a value that would push out many others is not kept`() {
        var cache = make()
        let ticket = expect(&cache, "k", now: 0)
        keep(&cache, ticket, "k", 1, String(repeating: "x", count: 10_000), now: 0)
        #expect(find(cache, "k", now: 0) == nil)
        #expect(expect(&cache, "k", now: 0) != .none)
    }
}

/// Vigna's splitmix64: a seed repeats a test.
private struct SplitMix {
    var state: UInt64

    mutating func below(_ bound: UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return (mixed ^ (mixed >> 31)) % bound
    }
}
