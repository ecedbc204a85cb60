internal import Bytes
internal import Glibc

/// The accounts that a run reads and moves money between.
public struct AccountSet: Sendable, Equatable {
    private enum Names: Sendable, Equatable {
        case numbered(prefix: String, first: Int)
        case listed([String])
    }
    private let names: Names
    public let count: Int

    /// Nil for an empty list, or when one is no id.
    public init?(_ list: [String]) {
        guard !list.isEmpty, list.allSatisfy(Self.isIdentifier) else { return nil }
        names = .listed(list)
        count = list.count
    }

    /// Reads `payer:1..500` (500 accounts) or one account's name; nil for an empty or too large range, or a text that is no id.
    public init?(_ text: String) {
        guard let dots = text.firstRange(of: "..") else {
            guard Self.isIdentifier(text) else { return nil }
            names = .listed([text])
            count = 1
            return
        }
        let head = text[..<dots.lowerBound]
        let digits = String(head.reversed().prefix { $0.isASCII && $0.isNumber }.reversed())
        guard let first = Int(digits), let last = Int(text[dots.upperBound...]), first <= last, last - first < 100_000_000 else {
            return nil
        }
        let prefix = String(head.dropLast(digits.count))
        guard Self.isIdentifier("\(prefix)\(last)") else { return nil }
        names = .numbered(prefix: prefix, first: first)
        count = last - first + 1
    }

    /// The name of the account at `index`, 0 to `count` - 1.
    public func name(_ index: Int) -> String {
        switch names {
        case .numbered(let prefix, let first): "\(prefix)\(first + index)"
        case .listed(let list): list[index]
        }
    }

    /// Appends the name of the account at `index`.
    func append(name index: Int, to output: inout [UInt8]) {
        switch names {
        case .numbered(let prefix, let first):
            output.append(text: prefix)
            output.append(decimal: Int64(first + index))
        case .listed(let list): output.append(text: list[index])
        }
    }

    /// What may stand in a path and in JSON as it is.
    private static func isIdentifier(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "-")
                }
            }
    }
}

/// Draws accounts by their popularity.
struct AccountPicker {
    private let count: Int
    /// The share of all draws that fall on an account or one before it; empty when all are alike.
    private let cumulativeShares: [Double]
    /// The share of the first account, where that is all there is to it.
    private let hotShare: Double?

    init(count: Int, _ popularity: LoadOptions.Popularity) {
        precondition(count > 0)
        self.count = count
        if case .hot(let share) = popularity { hotShare = share } else { hotShare = nil }
        guard case .zipf(let exponent) = popularity else {
            cumulativeShares = []
            return
        }
        var total = 0.0
        var shares: [Double] = []
        shares.reserveCapacity(count)
        for rank in 1...count {
            total += pow(Double(rank), -exponent)
            shares.append(total)
        }
        cumulativeShares = shares.map { $0 / total }
    }

    /// An account's index.
    func pick(_ chance: inout Chance) -> Int {
        if let hotShare {
            return Double.random(in: 0..<1, using: &chance) < hotShare ? 0 : Int.random(in: 1..<count, using: &chance)
        }
        guard !cumulativeShares.isEmpty else { return Int.random(in: 0..<count, using: &chance) }
        let share = Double.random(in: 0..<1, using: &chance)
        var (low, high) = (0, count - 1)
        while low < high {
            let middle = (low + high) / 2
            if cumulativeShares[middle] > share { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Two different accounts, who pays and who is paid; there are two at least, and beside a hot one two others.
    func pickPair(_ chance: inout Chance) -> (Int, Int) {
        if hotShare != nil {
            let payer = Int.random(in: 1..<count, using: &chance)
            let paid = pick(&chance)
            return (payer, paid == payer ? (payer == count - 1 ? 1 : payer + 1) : paid)
        }
        let first = pick(&chance)
        let second = pick(&chance)
        // Not drawn again until it differs: under a steep popularity that would take long.
        return (first, second == first ? (second + 1) % count : second)
    }
}

/// Reproducible chance: SplitMix64.
struct Chance: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
