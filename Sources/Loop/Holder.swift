internal import CSystem
internal import Glibc

/// Who has what we wanted, as far as the system tells: "sluice gateway (pid 12)". Other users' processes are hidden from
/// an ordinary user.
public enum Holder {
    /// Who listens on an address.
    public static func ofSocket(_ address: SocketAddress) -> String? {
        var inodes: Set<Substring> = []
        switch address {
        case .tcp(_, let port):
            let digits = String(port, radix: 16, uppercase: true)
            let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
            for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
                for line in text(of: table).split(separator: "\n").dropFirst() {
                    let fields = line.split(separator: " ")
                    // 0A is TCP_LISTEN; field 9 is the socket's inode (proc_net(5)).
                    if fields.count > 9, fields[1].hasSuffix(suffix), fields[3] == "0A" { inodes.insert(fields[9]) }
                }
            }
        case .unix(let path):
            for line in text(of: "/proc/net/unix").split(separator: "\n").dropFirst() {
                let fields = line.split(separator: " ", maxSplits: 7)
                // 00010000 is SO_ACCEPTCON: it listens.
                if fields.count == 8, fields[7] == path, fields[3] == "00010000" { inodes.insert(fields[6]) }
            }
        }
        guard !inodes.isEmpty else { return nil }
        for pid in names(in: "/proc").compactMap({ Int32($0) }) {
            for descriptor in names(in: "/proc/\(pid)/fd") {
                guard let target = link("/proc/\(pid)/fd/\(descriptor)"), target.hasPrefix("socket:["), target.hasSuffix("]") else {
                    continue
                }
                if inodes.contains(target.dropFirst("socket:[".count).dropLast()) { return process(pid) }
            }
        }
        return nil
    }

    /// Who holds the lock (flock) on an open file.
    public static func ofLock(_ descriptor: CInt) -> String? {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        for line in text(of: "/proc/locks").split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 5, fields[1] == "FLOCK",
                fields[5].split(separator: ":").last.flatMap({ UInt64($0) }) == UInt64(status.st_ino),
                let pid = Int32(fields[4])
            else { continue }
            return process(pid)
        }
        return nil
    }

    /// The program and its subcommand, and no more of its arguments: they may hold what is nobody's business.
    static func process(_ pid: Int32) -> String {
        // Not the first argument: servers write what they do into it, with their paths.
        guard var name = text(of: "/proc/\(pid)/comm").split(separator: "\n").first.map(String.init) else { return "pid \(pid)" }
        let arguments = text(of: "/proc/\(pid)/cmdline").split(separator: "\0", omittingEmptySubsequences: false)
        if name.hasPrefix("sluice"), arguments.count > 1,
            arguments[1].utf8.allSatisfy({ $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") })
        {
            name += " " + arguments[1]
        }
        return "\(name) (pid \(pid))"
    }

    // MARK: - /proc

    private static func text(of path: String) -> String {
        guard let file = unsafe fopen(path, "re") else { return "" }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func names(in folder: String) -> [String] {
        guard let stream = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            names.append(
                unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names
    }

    private static func link(_ path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: 256)
        let count = unsafe readlink(path, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
