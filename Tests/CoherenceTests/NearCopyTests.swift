import Bytes
import Ledger
import Loop
import Redis
import Store
import Telemetry
import Testing

@testable import Gateway
@testable import Server
@testable import TestSupport

/// Copies in the process, against a real Redis behind a relay that delays and swallows.
@Suite struct NearCopyTests {
    @Test func `a change is told, and its copy is gone`() throws {
        try withScene { scene in
            try scene.read(1)
            #expect(scene.found == 1)
            let before = scene.now
            try scene.put(2)
            #expect(scene.runUntil { scene.found == nil })
            #expect(scene.now - before < 50)
            try scene.read(2)
            #expect(scene.found == 2)
        }
    }

    @Test func `an invalidation that comes before the reply keeps the reply from being kept`() throws {
        try withScene { scene in
            scene.relay.holdsReplies = true
            scene.ask()
            // The question has reached Redis, the answer has not reached us.
            #expect(scene.runUntil { scene.relay.isHolding("1\nbody") })
            let told = scene.counters.invalidations.value
            try scene.put(2)
            #expect(scene.runUntil { scene.counters.invalidations.value > told })
            scene.relay.holdsReplies = false
            #expect(scene.runUntil { scene.answers == [1] })
            #expect(scene.found == nil)
        }
    }

    @Test func `a listener that died silently lets a copy live for a second and no longer, and then nothing is kept`() throws {
        try withScene { scene in
            try scene.read(1)
            scene.relay.holdsListener = true
            try scene.put(2)
            #expect(scene.found == 1)
            let cut = scene.now
            #expect(scene.runUntil { scene.found == nil })
            #expect(scene.now - cut <= CacheLifetime.nearMilliseconds + 50)
            // The connection does not answer: what is asked now is not kept.
            #expect(scene.runUntil { !scene.cache.isNear })
            #expect(scene.now - cut <= 1_500)
            try scene.read(2)
            #expect(scene.found == nil)
            // It is made again, and all is as before.
            scene.relay.holdsListener = false
            #expect(scene.runUntil { scene.cache.isNear })
            try scene.read(2)
            #expect(scene.found == 2)
            try scene.put(3)
            #expect(scene.runUntil { scene.found == nil })
        }
    }

    @Test func `without a good lease no copy is shown`() throws {
        try withScene { scene in
            try scene.read(1)
            #expect(scene.found == 1)
            scene.renews = false
            #expect(scene.runUntil { !scene.cache.isFresh(Scene.partition, nowMilliseconds: scene.now) })
            try scene.read(1)
            #expect(scene.found == nil)
            scene.renews = true
            #expect(scene.runUntil { scene.cache.isFresh(Scene.partition, nowMilliseconds: scene.now) })
            try scene.read(1)
            #expect(scene.found == 1)
        }
    }

    @Test func `a Redis that is emptied takes the copies with it`() throws {
        try withScene { scene in
            try scene.read(1)
            #expect(try scene.other.command(["FLUSHALL"]).text == "OK")
            #expect(scene.runUntil { scene.found == nil })
        }
    }
}

/// A loop with a gateway's cache and listener, and another client that changes what they read.
private final class Scene: CacheClient {
    static let partition: Int32 = 3
    let loop = EventLoop()
    let relay: RedisRelay
    let counters = GatewayCounters()
    let other: RedisConnection
    var renews = true
    private(set) var answers: [Int64?] = []
    private var made: Cache?
    private var listener: RedisSubscriber?
    private var timer: LoopTimer?
    private let key: [UInt8] = Array("a:{1}:x".utf8)
    private var renewals: Int64 = 0

    init(_ server: RedisServer) throws {
        var direct = RedisConfiguration(endpoint: server.endpoint)
        direct.setUp = RedisFunctions.setUp
        other = try RedisConnection(direct)
        relay = try RedisRelay(loop: loop, to: server.endpoint)
        var through = direct
        through.endpoint = relay.address
        // What a test keeps back is late on purpose.
        through.commandTimeoutMilliseconds = 5_000
        made = Cache(
            loop: loop, configuration: through, nearBytes: 1 << 20, metrics: RedisMetrics(), counters: counters, client: self)
        cache.watch([Self.partition])
        through.setUp = []
        through.subscriberProbeMilliseconds = 250
        listener = RedisSubscriber(
            loop: loop, configuration: through, channels: [Cache.invalidationChannel],
            onMessage: { [unowned self] _, payload in cache.changed(payload) },
            onStateChange: { [unowned self] isReady in cache.listenerChanged(isReady ? listener?.clientIdentifier : nil) })
        timer = LoopTimer(loop: loop) { [unowned self] in
            cache.sweep(nowMilliseconds: now)
            loop.stop()
        }
    }

    func close() {
        listener?.close()
        cache.close()
    }

    var cache: Cache {
        guard let made else { preconditionFailure("the scene is not set") }
        return made
    }

    var now: UInt64 { loop.nowNanoseconds / 1_000_000 }

    /// Runs the loop in steps of 5 ms, as the gateway sweeps, while a worker renews the lease.
    func runUntil(_ condition: () throws -> Bool) rethrows -> Bool {
        let end = now + 5_000
        var nextRenewal: UInt64 = 0
        while now < end {
            if try condition() { return true }
            if renews, now >= nextRenewal {
                nextRenewal = now + 100
                if let count = try? other.command(["FCALL", RedisFunctions.name("renew"), "1", "l:3", "1", "500", "\(renewals)"]).integer {
                    renewals = count
                }
            }
            timer?.arm(afterMilliseconds: 5)
            loop.run()
        }
        return false
    }

    func put(_ revision: Int64) throws {
        #expect(try other.command(["SET", "a:{1}:x", "\(revision)\nbody"]).text == "OK")
    }

    /// The revision of the copy that would be shown.
    var found: Int64? {
        let key = key
        let now = now
        return cache.find(key.span, ofPartition: Self.partition, nowMilliseconds: now)?.revision
    }

    func ask() {
        let read = AccountRead(ticket: RequestTicket(slot: 0, generation: 0, number: 0))
        read.key = key
        #expect(cache.get(read, nowMilliseconds: now))
    }

    /// Asks and waits for the answer.
    func read(_ revision: Int64) throws {
        answers = []
        ask()
        #expect(runUntil { !answers.isEmpty })
        #expect(answers == [revision])
    }

    func answered(_ purpose: Cache.Purpose, _ result: RedisResult) {
        guard case .account = purpose, case .reply(let reply) = result, let value = CacheValue(reply.bytes) else {
            return answers.append(nil)
        }
        answers.append(value.revision)
    }
}

private func withScene(_ body: (Scene) throws -> Void) throws {
    try withServer { server in
        let scene = try Scene(server)
        defer { scene.close() }
        try scene.put(1)
        #expect(scene.runUntil { scene.cache.isNear && scene.cache.isFresh(Scene.partition, nowMilliseconds: scene.now) })
        try body(scene)
    }
}
