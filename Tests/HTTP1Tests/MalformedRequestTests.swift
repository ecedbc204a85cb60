import HTTP1
import Testing

@testable import TestSupport

/// What must be refused is refused alike however it arrives.
@Suite struct MalformedRequestTests {
    @Test(arguments: MalformedRequest.all)
    func `a malformed request is refused alike at every split`(request: MalformedRequest) {
        let (replay, dissent) = unanimous(request.bytes)
        #expect(dissent == nil)
        #expect(replay.refusal == request.refusal)
        #expect(replay.requests.isEmpty)
        #expect(replay.isClosed)
    }

    @Test(arguments: MalformedRequest.all)
    func `a malformed request after a good one is refused, and the good one served`(request: MalformedRequest) {
        let (replay, _) = Replay.run(Array("GET /good HTTP/1.1\r\nHost: a\r\n\r\n".utf8) + request.bytes)
        #expect(replay.requests.map(\.path) == ["/good"])
        #expect(replay.refusal == request.refusal)
    }

    @Test func `the table is large and names each case once`() {
        #expect(MalformedRequest.all.count >= 150)
        #expect(Set(MalformedRequest.all.map(\.name)).count == MalformedRequest.all.count)
    }

    @Test func `each refusal has the status of the standard`() {
        let expected: [Refusal: Status] = [
            .requestLineTooLong: .uriTooLong, .fieldsTooLarge: .requestHeaderFieldsTooLarge,
            .tooManyFields: .requestHeaderFieldsTooLarge, .trailersTooLarge: .requestHeaderFieldsTooLarge,
            .unsupportedVersion: .httpVersionNotSupported, .transferCodingUnknown: .notImplemented,
            .connectNotSupported: .notImplemented, .lengthRequired: .lengthRequired,
            .expectationUnknown: .expectationFailed, .bodyTooLarge: .contentTooLarge, .requestTimeout: .requestTimeout,
        ]
        for refusal in Refusal.allCases { #expect(refusal.status == expected[refusal] ?? .badRequest) }
    }

    @Test func `every refusal but those of limits and time stands in the table`() {
        let limits: Set<Refusal> = [
            .requestLineTooLong, .fieldsTooLarge, .tooManyFields, .chunkLineTooLong, .trailersTooLarge, .requestTimeout,
        ]
        #expect(Set(MalformedRequest.all.map(\.refusal)).union(limits) == Set(Refusal.allCases))
    }

    @Test func `the server's own reasons hold no control byte`() {
        for refusal in Refusal.allCases {
            let reason = Array(refusal.reason.description.utf8)
            let isClean = ResponseWriter.isFieldValue(reason.span)
            #expect(isClean && !reason.isEmpty)
        }
    }
}
