import Foundation
import Glibc
import Testing

@testable import Standalone

@Suite struct FolderTests {
    @Test func `a data folder has one holder, and the second is told its pid`() throws {
        try withTemporaryFolder { folder in
            #expect(FolderLock.holder(dataFolder: folder) == nil)
            let lock = try FolderLock(dataFolder: folder)
            try lock.whileHeld { () throws(StandaloneError) in
                #expect(FolderLock.holder(dataFolder: folder) == getpid())
                #expect(throws: StandaloneError.alreadyRunning(pid: getpid(), dataFolder: folder)) {
                    _ = try FolderLock(dataFolder: folder).whileHeld { 0 }
                }
            }
            _ = consume lock
            #expect(eventually { FolderLock.holder(dataFolder: folder) == nil }, "a child of another test may hold it until its exec")
            _ = try FolderLock(dataFolder: folder).whileHeld { 0 }
        }
    }

    @Test func `sockets lie inside the data folder where their names fit, else in a folder of their own`() {
        let roof = Layout.socketPathBytesMax - Layout.socketNameBytesMax - "/run".utf8.count
        let fits = Layout(data: "/" + String(repeating: "a", count: roof - 1), home: "/h", executable: "/e", uid: 7)
        let tooLong = Layout(data: "/" + String(repeating: "a", count: roof), home: "/h", executable: "/e", uid: 7)
        #expect(!fits.isRunOutside)
        #expect(tooLong.isRunOutside && tooLong.run.hasPrefix("/tmp/sluice-7-"))
        for layout in [fits, tooLong] {
            let sockets = [
                layout.postgresSockets + "/.s.PGSQL.65535", layout.redisSocket, layout.nginxSocket,
                layout.gatewaySocketPrefix("gateway-a") + ".63",
            ]
            #expect(sockets.allSatisfy { $0.utf8.count <= Layout.socketPathBytesMax })
        }
    }

    @Test func `folders are closed to others, and making them twice changes nothing`() throws {
        try withTemporaryFolder { folder in
            let layout = Layout(data: folder + "/x/y", home: "/h", executable: "/e", uid: geteuid())
            try layout.prepare(ServiceUsers())
            try layout.prepare(ServiceUsers())
            for path in [layout.data, layout.run, layout.secrets, layout.logs, layout.postgres, layout.redis, layout.broker] {
                let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
                #expect(mode == 0o700, "\(path)")
            }
        }
    }

    @Test func `a file in the place of a folder, or a link, is refused`() throws {
        try withTemporaryFolder { folder in
            try SystemCall.writeFile(folder + "/file", "", mode: 0o600)
            #expect(throws: StandaloneError.self) { try SystemCall.makeFolder(folder + "/file", mode: 0o700) }
            try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: "/tmp")
            #expect(throws: StandaloneError.self) { try SystemCall.makeFolder(folder + "/link", mode: 0o700) }
        }
    }

    @Test func `the folder that a user cannot pass through is found`() throws {
        try withTemporaryFolder { folder in
            try SystemCall.makeFolder(folder + "/closed", mode: 0o700)
            let stranger = ServiceUser(name: "stranger", uid: 12_345, gid: 12_345)
            try SystemCall.makeFolder(folder, mode: 0o711)
            #expect(stranger.firstClosedFolder(onTheWayTo: folder + "/closed/data")?.path == folder + "/closed")
            try SystemCall.makeFolder(folder + "/closed", mode: 0o711)
            #expect(stranger.firstClosedFolder(onTheWayTo: folder + "/closed/data") == nil)
        }
    }

    @Test func `secrets are made once, differ, and only their owner reads them`() throws {
        try withTemporaryFolder { folder in
            let layout = Layout(data: folder, home: "/h", executable: "/e", uid: geteuid())
            try layout.prepare(ServiceUsers())
            let first = try Secrets.load(layout)
            #expect(try Secrets.load(layout) == first)
            #expect(Set([first.superuser, first.application, first.replication]).count == 3)
            #expect(first.superuser.count == 32)
            let mode = try FileManager.default.attributesOfItem(atPath: layout.secrets + "/passwords.json")[.posixPermissions] as? Int
            #expect(mode == 0o600)
            try SystemCall.writeFile(layout.secrets + "/passwords.json", "{", mode: 0o600)
            #expect(throws: StandaloneError.self) { try Secrets.load(layout) }
        }
    }

    @Test func `a log keeps one generation, its tail is short, and a large one is cut`() throws {
        try withTemporaryFolder { folder in
            let log = LogFile(path: folder + "/x.log")
            #expect(log.tail() == "")
            try log.rotateAtStart()
            try SystemCall.writeFile(log.path, (1...5000).map { "line \($0)\n" }.joined(), mode: 0o600)
            #expect(log.tail(lines: 2) == "line 4999\nline 5000")
            log.cutWhenLarge(bytesMax: 1 << 20)
            #expect(log.tail(lines: 1) == "line 5000")
            log.cutWhenLarge(bytesMax: 1000)
            #expect(log.tail() == "")
            #expect(LogFile(path: log.path + ".1").tail(lines: 1) == "line 5000")
            try SystemCall.writeFile(log.path, "new\n", mode: 0o600)
            try log.rotateAtStart()
            #expect(!SystemCall.exists(log.path))
            #expect(LogFile(path: log.path + ".1").tail() == "new")
        }
    }
}
