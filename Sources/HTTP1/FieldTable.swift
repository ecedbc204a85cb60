/// One header field as ranges into its buffer.
public struct Field: Sendable {
    var nameStart: UInt32
    var valueStart: UInt32
    var nameCount: UInt16
    var valueCount: UInt16

    /// The name if it is one that the system reads, else `.other`.
    public internal(set) var known: FieldName

    /// The name as it was sent, in any case.
    public var name: ByteRange { ByteRange(Int(nameStart), Int(nameStart) + Int(nameCount)) }
    /// The value without white space around it; it may hold any byte from 0x20 on but 0x7F, and tabs.
    public var value: ByteRange { ByteRange(Int(valueStart), Int(valueStart) + Int(valueCount)) }

    init(known: FieldName, name: ByteRange, value: ByteRange) {
        self.known = known
        nameStart = name.start
        valueStart = value.start
        nameCount = UInt16(truncatingIfNeeded: name.count)
        valueCount = UInt16(truncatingIfNeeded: value.count)
    }
}

/// The header fields of one message, in fixed storage: made once, refilled for every message.
public struct FieldTable: ~Copyable {
    /// How many fields fit.
    public static let capacity = 64

    private var fields: InlineArray<64, Field>
    /// How many fields there are.
    public private(set) var count = 0

    init() {
        fields = InlineArray(repeating: Field(known: .other, name: .empty, value: .empty))
    }

    /// The field at `index`, in the order of arrival.
    public subscript(index: Int) -> Field {
        precondition(index < count)
        return fields[index]
    }

    /// The value of the first field of this name, nil when there is none.
    public func first(_ name: FieldName) -> ByteRange? {
        for index in 0..<count where fields[index].known == name { return fields[index].value }
        return nil
    }

    /// How many fields have this name. A field that must not be repeated (a key, a credential) is refused by
    /// its reader when this is above one.
    public func count(of name: FieldName) -> Int {
        var found = 0
        for index in 0..<count where fields[index].known == name { found += 1 }
        return found
    }

    mutating func removeAll() { count = 0 }

    mutating func append(_ field: Field) {
        fields[count] = field
        count += 1
    }
}
