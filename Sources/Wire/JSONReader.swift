internal import CSimdJSON

/// Why bytes are no JSON text that is taken here.
enum JSONFault: Equatable {
    case empty
    case tooLong
    case byteOrderMark
    case invalidUTF8
    case tooDeep
    case trailingBytes
    case malformed
}

/// Reads one JSON text at a time into a flat list of values, in the order of the text: what an object or array contains
/// follows it directly. Names and texts are lent until the next `read`.
///
/// One thread's. After its making it allocates nothing.
@safe
final class JSONReader {
    /// Longer texts are refused; the largest valid body, with every character escaped, is below 40 KiB.
    static let bytesMax = 64 * 1024
    /// The deepest valid body has two levels; the others are there so that a wrong one can be told what is wrong with it.
    static let depthMax = 8
    /// A valid body has at most 30 values.
    static let valuesMax = 64

    private let parser: OpaquePointer
    private let nodes: UnsafeMutablePointer<sluice_json_node>
    /// How many values the text has; may be above `valuesMax`, and then the ones beyond are not kept.
    private(set) var count = 0

    init() {
        guard let parser = unsafe sluice_json_create(UInt32(Self.bytesMax), UInt32(Self.depthMax)) else {
            preconditionFailure("no memory for a JSON parser")
        }
        unsafe self.parser = parser
        unsafe nodes = .allocate(capacity: Self.valuesMax)
        unsafe nodes.initialize(repeating: sluice_json_node(), count: Self.valuesMax)
    }

    deinit {
        unsafe sluice_json_free(parser)
        unsafe nodes.deallocate()
    }

    /// Nil when the bytes are one JSON text; its values are then there to be asked for. The first is the root.
    func read(_ bytes: Span<UInt8>) -> JSONFault? {
        count = 0
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { return .byteOrderMark }
        var total: UInt32 = 0
        let status = unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe sluice_json_parse(parser, buffer.baseAddress, buffer.count, nodes, UInt32(Self.valuesMax), &total)
        }
        count = Int(total)
        switch status {
        case .ok: return nil
        case .empty: return .empty
        case .tooLong: return .tooLong
        case .invalidUTF8: return .invalidUTF8
        case .tooDeep: return .tooDeep
        case .trailing: return .trailingBytes
        case .malformed: return .malformed
        case .failed: preconditionFailure("the JSON parser has no memory")
        }
    }

    func kind(_ index: Int) -> sluice_json_kind { unsafe node(index).pointee.kind }

    /// The index of the first value that is neither this one nor inside it.
    func end(of index: Int) -> Int { unsafe Int(node(index).pointee.end) }

    /// A member's name, its escapes resolved; empty for what is not an object's member.
    @_lifetime(borrow self)
    func name(_ index: Int) -> Span<UInt8> {
        let node = unsafe node(index)
        return unsafe lent(node.pointee.name, node.pointee.name_count)
    }

    /// A string with its escapes resolved; a number or literal as it is written; empty for an object or array.
    @_lifetime(borrow self)
    func text(_ index: Int) -> Span<UInt8> {
        let node = unsafe node(index)
        return unsafe lent(node.pointee.text, node.pointee.text_count)
    }

    @_lifetime(borrow self)
    private func lent(_ start: UnsafePointer<UInt8>?, _ count: UInt32) -> Span<UInt8> {
        let buffer = unsafe UnsafeBufferPointer(start: start, count: start == nil ? 0 : Int(count))
        return unsafe _overrideLifetime(buffer.span, borrowing: self)
    }

    private func node(_ index: Int) -> UnsafeMutablePointer<sluice_json_node> {
        precondition(index >= 0 && index < min(count, Self.valuesMax), "no such value")
        return unsafe nodes + index
    }
}
