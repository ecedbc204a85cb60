internal import Bytes
internal import CSimdJSON

extension Form {
    /// A payment's metadata in canonical form: an object of strings, its members sorted by name bytewise. Nil when there is
    /// none, or none in it.
    mutating func metadata() -> String? {
        guard let object = value(.metadata, required: false) else { return nil }
        guard reader.kind(object) == .object else {
            report(.wrongType, at: Member.metadata.pointer, "an object is required")
            return nil
        }
        var members: [Int] = []
        members.reserveCapacity(Limits.metadataMembersMax)
        var at = object + 1
        while at < reader.end(of: object) {
            if members.count == Limits.metadataMembersMax {
                report(.tooManyMembers, at: Member.metadata.pointer, "metadata has at most \(Limits.metadataMembersMax) members")
                return nil
            }
            members.append(at)
            at = reader.end(of: at)
        }
        let errorsBefore = errorsFound
        for member in members { checkMetadata(member) }
        if errorsFound > errorsBefore || members.isEmpty { return nil }
        members.sort { [reader] in reader.name($0).precedes(reader.name($1)) }
        return canonicalMetadata(members)
    }

    private mutating func checkMetadata(_ member: Int) {
        let reader = reader
        let name = reader.name(member)
        // Made only where there is something to report.
        func pointer() -> String { Pointer.text(member: reader.name(member), of: Member.metadata.pointer) }
        if name.count == 0 || name.count > Limits.metadataNameBytesMax || !Self.isMetadataName(name) {
            report(.invalidValue, at: pointer(), "a name has 1 to \(Limits.metadataNameBytesMax) of A-Z a-z 0-9 _ . -")
        }
        guard reader.kind(member) == .string else {
            report(.wrongType, at: pointer(), "a string is required")
            return
        }
        let text = reader.text(member)
        if text.count > Limits.metadataValueBytesMax {
            report(.tooLong, at: pointer(), "a value has at most \(Limits.metadataValueBytesMax) bytes")
        }
        for index in 0..<text.count where text[index] == 0 {
            // PostgreSQL's text has no place for it.
            report(.invalidValue, at: pointer(), "a value has no U+0000")
            return
        }
    }

    private mutating func canonicalMetadata(_ members: [Int]) -> String? {
        let reader = reader
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        for (position, member) in members.enumerated() {
            let name = reader.name(member)
            if position > 0, name.equals(reader.name(members[position - 1])) {
                let pointer = Pointer.text(member: name, of: Member.metadata.pointer)
                report(.duplicateMember, at: pointer, "the member appears more than once")
                return nil
            }
            bytes.append(position == 0 ? UInt8(ascii: "{") : UInt8(ascii: ","))
            bytes.append(json: name)
            bytes.append(UInt8(ascii: ":"))
            bytes.append(json: reader.text(member))
        }
        bytes.append(UInt8(ascii: "}"))
        if bytes.count <= Limits.metadataBytesMax { return String(decoding: bytes, as: UTF8.self) }
        report(.tooLong, at: Member.metadata.pointer, "metadata has at most \(Limits.metadataBytesMax) bytes as JSON")
        return nil
    }

    private static func isMetadataName(_ name: Span<UInt8>) -> Bool {
        for index in 0..<name.count where !isNameByte(name[index]) { return false }
        return true
    }
}
