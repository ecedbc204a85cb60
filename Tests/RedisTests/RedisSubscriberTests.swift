import Bytes
import Loop
import Testing

@testable import Redis
@testable import TestSupport

/// A subscriber that keeps its messages.
private final class Listener {
    let loop = EventLoop()
    private(set) var messages: [String] = []
    private(set) var states: [Bool] = []
    var onMessage: (() -> Void)?
    var subscriber: RedisSubscriber?

    init(_ configuration: RedisConfiguration, channels: [String]) {
        subscriber = RedisSubscriber(
            loop: loop, configuration: configuration, channels: channels,
            onMessage: { [unowned self] channel, payload in
                var bytes: [UInt8] = []
                bytes.append(channel)
                bytes.append("=")
                bytes.append(payload)
                messages.append(String(decoding: bytes, as: UTF8.self))
                onMessage?()
            },
            onStateChange: { [unowned self] ready in states.append(ready) })
    }

    func waitUntilReady() -> Bool { run(loop) { self.subscriber?.isReady ?? false } }
    func wait(for messages: [String]) -> Bool { run(loop) { self.messages == messages } }
}

private func configuration(_ server: RedisServer) -> RedisConfiguration {
    var configuration = RedisConfiguration(endpoint: server.endpoint)
    configuration.subscriberProbeMilliseconds = 50
    return configuration
}

@Suite(.serialized) struct RedisSubscriberTests {
    @Test func `messages of its channels arrive, of others not`() throws {
        try withServer { server in
            let listener = Listener(configuration(server), channels: ["a", "b"])
            #expect(listener.waitUntilReady())
            let publisher = try RedisConnection(configuration(server))
            for (channel, text) in [("a", "1"), ("c", "2"), ("b", "3"), ("a", "")] {
                _ = try publisher.command(["PUBLISH", channel, text])
            }
            #expect(listener.wait(for: ["a=1", "b=3", "a="]))
            // Several probes later it still listens, on the same connection, and hears each message once.
            _ = run(listener.loop, forAtMostMilliseconds: 250) { false }
            _ = try publisher.command(["PUBLISH", "a", "4"])
            #expect(listener.wait(for: ["a=1", "b=3", "a=", "a=4"]))
            #expect(listener.states == [true])
        }
    }

    @Test func `it subscribes again after the server was killed and restarted`() throws {
        try withServer { server in
            let listener = Listener(configuration(server), channels: ["a", "b"])
            #expect(listener.waitUntilReady())
            server.kill()
            #expect(run(listener.loop) { !(listener.subscriber?.isReady ?? true) })
            #expect(listener.subscriber?.clientIdentifier == nil)
            try server.start()
            #expect(listener.waitUntilReady())
            let publisher = try RedisConnection(configuration(server))
            _ = try publisher.command(["PUBLISH", "b", "again"])
            #expect(listener.wait(for: ["b=again"]))
            #expect(listener.states == [true, false, true])
        }
    }

    @Test func `a connection that is silently dead is noticed and replaced`() throws {
        try withServer { server in
            var settings = configuration(server)
            settings.connectTimeoutMilliseconds = 100
            let listener = Listener(settings, channels: ["a"])
            #expect(listener.waitUntilReady())
            server.freeze()
            #expect(run(listener.loop, forAtMostMilliseconds: 400) { !(listener.subscriber?.isReady ?? true) })
            server.thaw()
            #expect(listener.waitUntilReady())
            let publisher = try RedisConnection(configuration(server))
            _ = try publisher.command(["PUBLISH", "a", "1"])
            #expect(listener.wait(for: ["a=1"]))
        }
    }

    @Test func `invalidations of a tracking session arrive key by key, a flush as an empty payload`() throws {
        try withServer { server in
            let listener = Listener(configuration(server), channels: ["__redis__:invalidate"])
            #expect(listener.waitUntilReady())
            let identifier = try #require(listener.subscriber?.clientIdentifier)
            let reader = try RedisConnection(configuration(server))
            #expect(try reader.command(["CLIENT", "TRACKING", "ON", "REDIRECT", "\(identifier)"]) == .status("OK"))
            _ = try reader.command(["MGET", "k1", "k2"])
            let writer = try RedisConnection(configuration(server))
            _ = try writer.command(["MSET", "k1", "x", "k2", "y", "k3", "z"])
            #expect(run(listener.loop) { listener.messages.count == 2 })
            #expect(listener.messages.sorted() == ["__redis__:invalidate=k1", "__redis__:invalidate=k2"])
            _ = try writer.command(["FLUSHALL"])
            #expect(run(listener.loop) { listener.messages.last == "__redis__:invalidate=" })
        }
    }

    @Test func `a user without the right to a channel never becomes ready and is told why`() throws {
        try withServer(options: ["--user", "quiet", "on", ">pw", "resetchannels", "+@all", "~*"]) { server in
            var settings = configuration(server)
            settings.username = "quiet"
            settings.password = "pw"
            let listener = Listener(settings, channels: ["a"])
            #expect(!run(listener.loop, forAtMostMilliseconds: 200) { listener.subscriber?.isReady ?? true })
            guard case .rejected(let text) = listener.subscriber?.lastFailure else {
                Issue.record("\(String(describing: listener.subscriber?.lastFailure))")
                return
            }
            #expect(text.hasPrefix("NOPERM"))
        }
    }

    @Test func `closed or released in a handler, it hears no more`() throws {
        try withServer { server in
            for releases in [false, true] {
                let listener = Listener(configuration(server), channels: ["a"])
                #expect(listener.waitUntilReady())
                listener.onMessage = {
                    if releases { listener.subscriber = nil } else { listener.subscriber?.close() }
                }
                let publisher = try RedisConnection(configuration(server))
                for number in 0..<5 { _ = try publisher.command(["PUBLISH", "a", "\(number)"]) }
                _ = run(listener.loop, forAtMostMilliseconds: 50) { false }
                #expect(listener.messages == ["a=0"])
                listener.onMessage = nil
            }
        }
    }
}
