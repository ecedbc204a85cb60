import Bytes
import Glibc
import Redis
import Store
import Testing

@testable import TestSupport

/// The functions that keep Redis from going back in time, against a real one.
@Suite struct LeaseTests {
    private struct Client {
        let connection: RedisConnection

        init(_ server: RedisServer) throws {
            var configuration = RedisConfiguration(endpoint: server.endpoint)
            configuration.setUp = RedisFunctions.setUp
            connection = try RedisConnection(configuration)
        }

        func call(_ arguments: String...) throws -> OwnedReply { try connection.command(arguments) }

        func renew(epoch: Int = 1, confirmed: Int = 0, lifetime: Int = 1_000) throws -> Int64? {
            try call("FCALL", RedisFunctions.name("renew"), "1", "l:0", "\(epoch)", "\(lifetime)", "\(confirmed)").integer
        }
        func put(_ revision: Int, _ body: String = "{}") throws {
            #expect(try call("FCALL", RedisFunctions.name("put_all"), "1", "a", "\(revision)", body, "60000", "60000").integer != nil)
        }
        /// Whether a reader's fill was taken.
        func fill(_ revision: Int, _ body: String, age: Int = 0) throws -> Bool {
            try call("FCALL", RedisFunctions.name("fill"), "2", "a", "l:0", "\(revision)", body, "60000", "\(age)").integer == 1
        }
        func value() throws -> String? { try call("GET", "a").text }
        func left() throws -> [Int64?] {
            guard case .array(let elements) = try call("FCALL_RO", RedisFunctions.name("fresh"), "2", "l:0", "l:1") else { return [] }
            return elements.map(\.integer)
        }
    }

    @Test func `a late filler does not put an old value back`() throws {
        try withServer { server in
            let client = try Client(server)
            #expect(try client.renew() == 1)
            // Read at revision 4 before the commit of 5, filled after it.
            try client.put(5)
            #expect(try !client.fill(4, "old"))
            #expect(try client.value() == "5\n")
            #expect(try client.fill(5, "new"))
            try client.put(6, "newer")
            #expect(try !client.fill(5, "new"))
            #expect(try client.value() == "6\nnewer")
        }
    }

    @Test func `a late tombstone does not hide an account that was opened`() throws {
        try withServer { server in
            let client = try Client(server)
            #expect(try client.renew() == 1)
            #expect(try client.fill(0, "-"))
            try client.put(1, "opened")
            #expect(try client.value() == "1\nopened")
            #expect(try !client.fill(0, "-"))
            #expect(try client.value() == "1\nopened")
        }
    }

    @Test func `a fill from before Redis was emptied is refused, one from after it is taken`() throws {
        try withServer { server in
            let client = try Client(server)
            #expect(try client.renew() == 1)
            try client.put(5)
            #expect(try client.call("FLUSHALL").text == "OK")
            // The floor is gone, and with it the lease: nothing is kept until a worker has been here.
            #expect(try !client.fill(4, "old", age: 500))
            #expect(try !client.fill(5, "new"))
            #expect(try client.renew(confirmed: 1) == 1)
            #expect(try !client.fill(4, "old", age: 500))
            usleep(20_000)
            #expect(try client.fill(5, "new", age: 10))
        }
    }

    @Test func `many keys at once are each written as one alone, and one of another type keeps none of the others from it`() throws {
        try withServer { server in
            let client = try Client(server)
            func value(_ key: String) throws -> String? { try client.call("GET", key).text }
            #expect(try client.call("SET", "read", "3\nold").text == "OK")
            #expect(try client.call("RPUSH", "list", "x").integer == 1)
            let values = ["unread", "list", "read", "5", "u", "5", "l", "5", "new"]
            let answer = try client.connection.command(["FCALL", RedisFunctions.name("put_all"), "3"] + values + ["60000", "60000"])
            guard case .error(let text) = answer else {
                Issue.record("a list was written over: \(answer)")
                return
            }
            #expect(text.hasPrefix("WRONGTYPE"))
            // A body where a body stood, which somebody reads; a floor elsewhere.
            #expect(try value("unread") == "5\n" && value("read") == "5\nnew")
            #expect(
                try client.call("FCALL", RedisFunctions.name("put_all"), "2", "unread", "read", "5", "x", "4", "x", "60000", "60000")
                    .integer == 2)
            #expect(try value("unread") == "5\n" && value("read") == "5\nnew")
            #expect(
                try client.call(
                    "FCALL", RedisFunctions.name("fill_all"), "3", "unread", "read", "fresh", "4", "x", "5", "same", "1", "f", "60000"
                )
                .integer == 3)
            #expect(try value("unread") == "5\n" && value("read") == "5\nsame" && value("fresh") == "1\nf")
            #expect(try (1...60_000).contains(client.call("PTTL", "fresh").integer ?? 0))
        }
    }

    @Test func `Redis tells whose body stood, and a body follows where just that floor stands`() throws {
        try withServer { server in
            let client = try Client(server)
            func value(_ key: String) throws -> String? { try client.call("GET", key).text }
            for (key, text) in [("read", "3\nold"), ("sought", "0\n-"), ("later", "6\n")] {
                #expect(try client.call("SET", key, text).text == "OK")
            }
            let floors = ["unread", "read", "sought", "later", "5", "", "5", "", "5", "", "5", ""]
            #expect(
                try client.connection.command(["FCALL", RedisFunctions.name("put_all"), "4"] + floors + ["60000", "60000"]).integer == 0b110
            )
            #expect(try ["unread", "read", "sought", "later"].map(value) == ["5\n", "5\n", "5\n", "6\n"])
            // `gone` was lost with all of Redis since, and `later` has changed.
            let bodies = ["read", "later", "gone", "5", "new", "5", "new", "5", "new"]
            #expect(try client.connection.command(["FCALL", RedisFunctions.name("complete_all"), "3"] + bodies + ["60000"]).integer == 3)
            #expect(try ["read", "later", "gone"].map(value) == ["5\nnew", "6\n", nil])
            #expect(try (1...60_000).contains(client.call("PTTL", "read").integer ?? 0))
        }
    }

    @Test func `a value that is none of ours is written over, and keeps nothing from its neighbours`() throws {
        try withServer { server in
            let client = try Client(server)
            func value(_ key: String) throws -> String? { try client.call("GET", key).text }
            for key in ["alien", "filled"] { #expect(try client.call("SET", key, "12345").text == "OK") }
            let values = ["alien", "next", "5", "a", "5", "b"]
            #expect(
                try client.connection.command(["FCALL", RedisFunctions.name("put_all"), "2"] + values + ["60000", "60000"]).integer == 0)
            #expect(try value("alien") == "5\n" && value("next") == "5\n")
            #expect(try client.call("FCALL", RedisFunctions.name("fill_all"), "1", "filled", "1", "f", "60000").integer == 1)
            #expect(try value("filled") == "1\nf")
        }
    }

    @Test func `builds of different versions call their own functions, whoever loaded last, and share what is stored`() throws {
        try withServer { server in
            // The next build, in which a renewal means something else, and one from before there were versions.
            let next = RedisFunctions.source.replacing("sluice_3", with: "sluice_4")
                .replacing("local function renew(keys, args)", with: "local function renew(keys, args)\n    if true then return 77 end")
            let first = "#!lua name=sluice\nredis.register_function('sluice_renew', function() return 11 end)"
            func connect(_ source: String) throws -> RedisConnection {
                var configuration = RedisConfiguration(endpoint: server.endpoint)
                configuration.setUp = [["FUNCTION", "LOAD", "REPLACE", source]]
                return try RedisConnection(configuration)
            }
            func renew(_ connection: RedisConnection, _ function: String) throws -> Int64? {
                try connection.command(["FCALL", function, "1", "l:0", "1", "1000", "0"]).integer
            }
            for round in 1...3 as ClosedRange<Int64> {
                let (old, new) = (try connect(first), try connect(next))
                let client = try Client(server)
                let (older, newer) = (try connect(first), try connect(next))
                #expect(try client.renew() == round)
                for connection in [old, older] { #expect(try renew(connection, "sluice_renew") == 11) }
                for connection in [new, newer] { #expect(try renew(connection, "sluice_4_renew") == 77) }
                try client.put(Int(round))
                let fill = ["FCALL", "sluice_3_fill", "2", "a", "l:0", "\(round)", "of the next", "60000", "0"]
                #expect(try newer.command(fill).integer == 1)
                #expect(try client.value() == "\(round)\nof the next")
            }
        }
    }

    @Test func `a lease runs out by itself, and nothing is filled or believed without`() throws {
        try withServer { server in
            let client = try Client(server)
            #expect(try client.left() == [0, 0])
            #expect(try client.renew(lifetime: 150) == 1)
            let left = try client.left()
            #expect((1...150).contains(left[0] ?? 0))
            #expect(left[1] == 0)
            #expect(try client.fill(1, "a"))
            usleep(200_000)
            #expect(try client.left() == [0, 0])
            #expect(try !client.fill(2, "b"))
            #expect(try client.renew(confirmed: 1, lifetime: 150) == 2)
            #expect(try client.fill(2, "b"))
        }
    }

    @Test func `a Redis that was frozen comes back with leases that have run out`() throws {
        try withServer { server in
            let client = try Client(server)
            #expect(try client.renew(lifetime: 300) == 1)
            server.freeze()
            usleep(400_000)
            server.thaw()
            #expect(try client.left()[0] == 0)
        }
    }

    /// As a server has it whose clock was set back by an hour after a renewal.
    @Test func `a lease of before the server's clock was set back is not good, and once renewed readers fill again`() throws {
        #expect(RedisFunctions.source.contains("local lease_milliseconds = \(CacheLifetime.leaseMilliseconds)\n"))
        try withServer { server in
            let client = try Client(server)
            guard case .array(let time) = try client.call("TIME"), let seconds = time.first?.text.flatMap({ Int($0) }) else {
                return #expect(Bool(false), "no time")
            }
            let ahead = (seconds + 3_600) * 1_000
            #expect(try client.call("SET", "l:0", "1 5 \(ahead) \(ahead + 1_000)").text == "OK")
            #expect(try client.left() == [0, 0])
            #expect(try !client.fill(1, "x", age: 0))
            #expect(try client.renew(confirmed: 5) == 6)
            let left = try client.left()[0] ?? 0
            #expect((1...1_000).contains(left))
            usleep(20_000)
            #expect(try client.fill(1, "x", age: 0))
        }
    }

    @Test func `an owner that was superseded renews nothing, even after the lease has run out`() throws {
        try withServer { server in
            let client = try Client(server)
            #expect(try client.renew(epoch: 7, lifetime: 50) == 1)
            #expect(try client.renew(epoch: 8, lifetime: 50) == 2)
            usleep(80_000)
            #expect(try client.renew(epoch: 7, confirmed: 1) == LeaseRefusal.superseded.rawValue)
            #expect(try client.left()[0] == 0)
            #expect(try client.renew(epoch: 8, confirmed: 2) == 3)
        }
    }

    @Test func `what was told in an earlier line of the ledger's history is found out, however far its epochs had come`() throws {
        try withServer { server in
            let client = try Client(server)
            let line = 1 << 40
            #expect(try client.renew(epoch: 9) == 1)
            #expect(try client.renew(epoch: line + 3) == LeaseRefusal.otherLine.rawValue)
            #expect(try client.renew(epoch: line + 3) == LeaseRefusal.otherLine.rawValue)
            #expect(try client.call("FLUSHDB").text == "OK")
            #expect(try client.renew(epoch: line + 3) == 1)
            #expect(try client.renew(epoch: line + 3, confirmed: 1) == 2)
            #expect(try client.renew(epoch: line + 4) == 3)
            #expect(try client.renew(epoch: 10) == LeaseRefusal.superseded.rawValue)
        }
    }

    @Test func `a Redis that has forgotten what it confirmed is found out`() throws {
        try withServer { server in
            let client = try Client(server)
            for count in 1...3 as ClosedRange<Int64> { #expect(try client.renew(confirmed: Int(count) - 1) == count) }
            // As a server that came back with a copy of earlier.
            let now = try client.call("GET", "l:0").text ?? ""
            #expect(try client.call("SET", "l:0", now.replacingCount(with: 2)).text == "OK")
            #expect(try client.renew(confirmed: 3) == LeaseRefusal.forgotten.rawValue)
            // Emptied, and two renewals were under way: the second knows of what the first has not told yet.
            #expect(try client.call("FLUSHDB").text == "OK")
            #expect(try [client.renew(confirmed: 3), client.renew(confirmed: 3)] == [1, LeaseRefusal.forgotten.rawValue])
        }
    }
}

extension String {
    fileprivate func replacingCount(with count: Int) -> String {
        var parts = split(separator: " ").map(String.init)
        parts[1] = "\(count)"
        return parts.joined(separator: " ")
    }
}
