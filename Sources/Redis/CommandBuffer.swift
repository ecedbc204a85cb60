internal import Bytes

/// Encodes one command at a time as RESP, an array of bulk strings, into memory that is reused.
///
/// Kept by its owner and begun anew for each command; it allocates nothing once it has grown to the longest command.
/// An argument count that the appended arguments do not match is a bug and stops the process.
public struct CommandBuffer: ~Copyable {
    private var bytes: [UInt8] = []
    private var argumentsLeft = 0
    /// Bytes behind the command that are not part of it.
    private var hiddenBytes = 0

    public init() {}

    /// The command so far, as it goes over the wire.
    public var encoded: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get { bytes.span.extracting(droppingLast: hiddenBytes) }
    }

    /// True when every argument that `begin` announced has been appended.
    public var isComplete: Bool { argumentsLeft == 0 && !bytes.isEmpty }

    /// Drops what was there and begins a command of `argumentCount` arguments, its name included; at least 1.
    public mutating func begin(argumentCount: Int) {
        precondition(argumentCount > 0, "a command has a name")
        bytes.removeAll(keepingCapacity: true)
        hiddenBytes = 0
        bytes.append(UInt8(ascii: "*"))
        bytes.append(decimal: UInt64(argumentCount))
        bytes.append("\r\n")
        argumentsLeft = argumentCount
    }

    /// Appends an argument known at compile time, as a command's name.
    public mutating func append(_ text: StaticString) {
        open(byteCount: text.utf8CodeUnitCount)
        bytes.append(text)
        bytes.append("\r\n")
    }

    /// Appends an argument of any bytes.
    public mutating func append(_ argument: Span<UInt8>) {
        open(byteCount: argument.count)
        bytes.append(argument)
        bytes.append("\r\n")
    }

    /// Appends one argument made of a fixed prefix and any bytes, as a key in its name space.
    public mutating func append(_ prefix: StaticString, _ rest: Span<UInt8>) {
        open(byteCount: prefix.utf8CodeUnitCount + rest.count)
        bytes.append(prefix)
        bytes.append(rest)
        bytes.append("\r\n")
    }

    /// Appends one argument made of two fixed parts.
    public mutating func append(_ prefix: StaticString, _ rest: StaticString) {
        open(byteCount: prefix.utf8CodeUnitCount + rest.utf8CodeUnitCount)
        bytes.append(prefix)
        bytes.append(rest)
        bytes.append("\r\n")
    }

    /// Appends an argument's UTF-8.
    public mutating func append(text: String) {
        open(byteCount: text.utf8.count)
        bytes.append(text: text)
        bytes.append("\r\n")
    }

    /// Appends an integer in decimal.
    public mutating func append(decimal value: Int64) {
        open(byteCount: (value < 0 ? 1 : 0) + digitCount(value.magnitude))
        bytes.append(decimal: value)
        bytes.append("\r\n")
    }

    /// Appends an integer in decimal.
    public mutating func append(decimal value: UInt64) {
        open(byteCount: digitCount(value))
        bytes.append(decimal: value)
        bytes.append("\r\n")
    }

    /// Appends one argument that `write` adds to the buffer in parts: exactly `byteCount` bytes.
    public mutating func append(byteCount: Int, _ write: (inout [UInt8]) -> Void) {
        open(byteCount: byteCount)
        let start = bytes.count
        write(&bytes)
        precondition(bytes.count - start == byteCount, "an argument is not as long as was announced")
        bytes.append("\r\n")
    }

    /// Encodes a whole command of strings; for set-up, not for hot paths.
    ///
    /// A zero byte follows it in memory: hiredis 0.14 looks for the channels of a SUBSCRIBE as in a C string, and past the command's
    /// end it would take what it finds there for further ones.
    mutating func encode(_ arguments: [String]) {
        begin(argumentCount: arguments.count)
        for argument in arguments { append(text: argument) }
        bytes.append(0)
        hiddenBytes = 1
    }

    private mutating func open(byteCount: Int) {
        precondition(argumentsLeft > 0, "more arguments than were announced")
        argumentsLeft -= 1
        bytes.append(UInt8(ascii: "$"))
        bytes.append(decimal: UInt64(byteCount))
        bytes.append("\r\n")
    }
}

private func digitCount(_ value: UInt64) -> Int {
    var count = 1
    var rest = value / 10
    while rest != 0 {
        count += 1
        rest /= 10
    }
    return count
}
