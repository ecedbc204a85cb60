internal import Bytes

/// Turns the records of a CSV file (RFC 4180, comma, a header) into lines of NDJSON, which are checked like any other.
///
/// Columns are named as the members of the API; `account` is another name for `id`, and `metadata.NAME` is a member of the
/// metadata. An empty cell is an absent member. A field in quotes may hold commas and doubled quotes, but no line's end.
struct CSVReader {
    private static let columns: Set<String> = [
        "type", "key", "id", "currency", "kind", "overdraft_limit", "debit", "credit", "amount", "reference", "expires_at",
    ]

    private let names: [String]

    /// - Parameter header: the file's first line.
    init(header: [UInt8]) throws(OperateError) {
        guard let cells = Self.cells(header) else { throw .refused("line 1: the header has a quote that is not closed") }
        var names: [String] = []
        for cell in cells {
            let name = String(decoding: cell, as: UTF8.self)
            let column = name == "account" ? "id" : name
            let isMetadata = column.hasPrefix("metadata.") && column.count > "metadata.".count
            guard isMetadata || Self.columns.contains(column) else {
                throw .refused(
                    "line 1: the column `\(name)` is not known: use \(Self.columns.sorted().joined(separator: ", ")) or metadata.NAME")
            }
            guard !names.contains(column) else { throw .refused("line 1: the column `\(name)` is there twice") }
            names.append(column)
        }
        self.names = names
    }

    /// The record as a JSON object, or a sentence on why it is none.
    func object(_ line: [UInt8]) -> Result<[UInt8], MalformedLine> {
        guard let cells = Self.cells(line) else { return .failure(MalformedLine("a quote is not closed, or something stands beside it")) }
        guard cells.count == names.count else {
            return .failure(MalformedLine("\(cells.count) fields where the header has \(names.count)"))
        }
        var members: [[UInt8]] = []
        var metadata: [[UInt8]] = []
        for (name, cell) in zip(names, cells) where !cell.isEmpty {
            if name.hasPrefix("metadata.") {
                metadata.append(Self.member(String(name.dropFirst("metadata.".count)), cell))
            } else {
                members.append(Self.member(name, cell))
            }
        }
        if !metadata.isEmpty { members.append(Array("\"metadata\":".utf8) + Self.object(of: metadata)) }
        return .success(Self.object(of: members))
    }

    private static func object(of members: [[UInt8]]) -> [UInt8] {
        [UInt8(ascii: "{")] + Array(members.joined(separator: [UInt8(ascii: ",")])) + [UInt8(ascii: "}")]
    }

    /// A number stands as it is, so that one in a wrong form is told to be wrong; everything else is a string.
    private static func member(_ name: String, _ cell: [UInt8]) -> [UInt8] {
        let isNumber = (name == "amount" || name == "overdraft_limit") && cell.allSatisfy { numberBytes.contains($0) }
        return quoted(Array(name.utf8)) + [UInt8(ascii: ":")] + (isNumber ? cell : quoted(cell))
    }

    private static let numberBytes = Set("0123456789+-.eE".utf8)

    private static func quoted(_ text: [UInt8]) -> [UInt8] {
        var result = [UInt8(ascii: "\"")]
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): result += [UInt8(ascii: "\\"), byte]
            case 0..<0x20: result += Array("\\u00".utf8) + [Hex.digit(byte >> 4), Hex.digit(byte & 15)]
            default: result.append(byte)
            }
        }
        return result + [UInt8(ascii: "\"")]
    }

    /// The fields of a line; nil when its quotes do not pair.
    static func cells(_ line: [UInt8]) -> [[UInt8]]? {
        var cells: [[UInt8]] = []
        var index = 0
        while true {
            let isQuoted = index < line.count && line[index] == UInt8(ascii: "\"")
            guard let cell = isQuoted ? quotedCell(line, &index) : plainCell(line, &index) else { return nil }
            cells.append(cell)
            guard index < line.count else { return cells }
            guard line[index] == UInt8(ascii: ",") else { return nil }
            index += 1
        }
    }

    private static func plainCell(_ line: [UInt8], _ index: inout Int) -> [UInt8]? {
        let end = line[index...].firstIndex(of: UInt8(ascii: ",")) ?? line.count
        defer { index = end }
        let cell = line[index..<end]
        return cell.contains(UInt8(ascii: "\"")) ? nil : Array(cell)
    }

    /// Ends behind the closing quote; within it a doubled quote stands for one.
    private static func quotedCell(_ line: [UInt8], _ index: inout Int) -> [UInt8]? {
        let quote = UInt8(ascii: "\"")
        var cell: [UInt8] = []
        index += 1
        while index < line.count {
            if line[index] != quote {
                cell.append(line[index])
            } else if index + 1 < line.count, line[index + 1] == quote {
                cell.append(quote)
                index += 1
            } else {
                index += 1
                return cell
            }
            index += 1
        }
        return nil
    }
}

/// Why a line cannot be submitted.
struct MalformedLine: Error, Equatable {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
