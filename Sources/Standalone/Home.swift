import Foundation

/// Finds the folder that the configuration templates come from.
enum Home {
    /// Its mark: a file that only Sluice has.
    static let mark = "nginx/sluice.conf.template"

    /// The running executable's path, also when it was started through PATH or a link.
    static func executable() throws(StandaloneError) -> String {
        guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            throw .brokenSetup("/proc is not mounted: Sluice reads it to find its own executable and its processes")
        }
        return path
    }

    /// The first folder with the templates, from the executable's folder upwards, then from the current one; below a prefix such as
    /// /usr they are in share/sluice, where the Debian package puts them.
    static func find(executable: String) throws(StandaloneError) -> String {
        for start in [executable, FileManager.default.currentDirectoryPath + "/."] {
            var folder = start
            while let slash = folder.lastIndex(of: "/") {
                folder = String(folder[..<slash])
                for candidate in [folder, folder + "/share/sluice"] where SystemCall.exists("\(candidate)/\(mark)") { return candidate }
            }
        }
        throw .brokenSetup("\(mark) is neither above \(executable) nor above the current folder: pass --home with Sluice's folder")
    }
}
