import Foundation

/// Looks for secrets in all that a system has written, but for the places where they belong and the ledger and the log themselves.
struct SecretSearch {
    /// Where payments and passwords are kept: PostgreSQL, the log, `secrets`, the first key.
    private static let kept = ["postgres", "broker", "secrets", "demo.key"]

    let data: String

    /// A sentence for each secret that stands where it should not.
    var leaks: [String] {
        var texts: [(path: String, text: String)] = []
        let files = FileManager.default
        for top in ((try? files.contentsOfDirectory(atPath: data)) ?? []) where !Self.kept.contains(top) {
            // A file has no paths below it.
            for below in [""] + ((try? files.subpathsOfDirectory(atPath: data + "/" + top)) ?? []) {
                let name = below.isEmpty ? top : top + "/" + below
                var isFolder: ObjCBool = false
                let isThere = unsafe files.fileExists(atPath: data + "/" + name, isDirectory: &isFolder)
                guard isThere, !isFolder.boolValue, let contents = files.contents(atPath: data + "/" + name) else { continue }
                texts.append((name, String(decoding: contents, as: UTF8.self)))
            }
        }
        guard texts.contains(where: { $0.path.hasPrefix("logs/") && !$0.text.isEmpty }) else {
            return ["no log was found to look for secrets in"]
        }
        return texts.flatMap { file in Self.secrets(in: file.text, known: passwords).map { "\(file.path) has \($0)" } }
    }

    /// Those of this system.
    private var passwords: [String] {
        let folder = data + "/secrets"
        var found: [String] = []
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            let text = FileManager.default.contents(atPath: folder + "/" + name).map { String(decoding: $0, as: UTF8.self) } ?? ""
            found += text.split { !$0.isHexDigit }.filter { $0.count == 32 }.map(String.init)
        }
        return found
    }

    /// What of a text is a secret, without repeating it.
    static func secrets(in text: String, known: [String]) -> [String] {
        var found: [String] = []
        if known.contains(where: text.contains) { found.append("a password") }
        if text.firstMatch(of: #/sk_[0-9a-f]{16}_[A-Za-z0-9_-]{43}/#) != nil { found.append("an API key") }
        // What the tests send as secrets of clients.
        for mark in Self.marks where text.contains(mark) { found.append("what a client sent in confidence") }
        // Three to six in front: what card networks give out. Times and counters do not begin so.
        if text.matches(of: #/\b[3-6][0-9]{12,18}\b/#).contains(where: { isCard($0.output) }) { found.append("a number like a card's") }
        return found
    }

    /// In the bodies, queries and fields of `SecretTests`.
    static let marks = ["hush-hush-in-metadata", "hush-hush-in-reference", "hush-hush-in-key"]

    /// Luhn's check digit (ISO/IEC 7812-1), and more than one digit used.
    private static func isCard(_ digits: Substring) -> Bool {
        var sum = 0
        for (place, character) in digits.reversed().enumerated() {
            let digit = character.wholeNumberValue ?? 0
            sum += place.isMultiple(of: 2) ? digit : digit * 2 > 9 ? digit * 2 - 9 : digit * 2
        }
        return sum.isMultiple(of: 10) && Set(digits).count > 1
    }
}
