import Testing
import Wire

@Suite struct HeaderFieldTests {
    @Test(arguments: [
        ("wait=5", 5), ("wait=0", 0), ("wait=10", 10), ("wait=11", 10), ("wait=99999999999999999999999", 10), ("WAIT=3", 3),
        ("Wait = 3", 3), ("wait=\"7\"", 7),
        ("respond-async, wait=4", 4), ("respond-async,wait=4", 4), (", ,wait=4,", 4), ("wait=4;x=1", 4), ("foo=\"a, wait=9\", wait=2", 2),
        ("foo=\"\\\", wait=9\",wait=2", 2),
        ("foo=bar;baz=\"q;,\" ; x, wait=6", 6), ("wait=2, wait=8", 2), ("handling=lenient; wait=9, wait=1", 1),
        ("return=minimal , wait=007", 7), ("\twait=1\t", 1),
    ])
    func `the preference to wait is found`(field: String, seconds: Int) {
        #expect(withBytes(field) { Preference.waitSeconds($0) } == seconds)
    }

    @Test(arguments: [
        "", "wait", "wait=", "wait=\"\"", "wait=-1", "wait=1.5", "wait=x", "wait=5s", "waiting=5", "respond-async", "foo=wait=5",
        "wait=x, wait=5", "=5", ";wait=5",
        "foo bar, wait=5", "foo=\"open, wait=5", "wait=\"5",
    ])
    func `no preference to wait is none`(field: String) {
        #expect(withBytes(field) { Preference.waitSeconds($0) } == nil)
    }

    @Test(arguments: [("Bearer abc", 7..<10), ("bearer abc", 7..<10), ("BEARER  abc", 8..<11), ("Bearer sk_1-2.3~4+5/6=", 7..<22)])
    func `a bearer token is found`(field: String, range: Range<Int>) {
        #expect(withBytes(field) { Authorization.bearerToken($0) } == range)
    }

    @Test(arguments: [
        "", "Bearer", "Bearer ", "Bearer    ", "Basic abc", "Bearerabc", "Bearer a b", "Bearer a,b c", "Bearer\tabc", "Bearer é",
        "bear abc",
    ])
    func `what is no bearer token is none`(field: String) {
        #expect(withBytes(field) { Authorization.bearerToken($0) } == nil)
    }

    @Test(arguments: [
        "application/json", "Application/JSON", "application/json;charset=utf-8", "application/json; charset=UTF-8",
        "application/json ; charset=\"utf-8\"",
        "application/json;", "application/json ", "application/json; ; charset=utf-8",
    ])
    func `JSON is JSON`(field: String) {
        #expect(withBytes(field) { MediaType.isJSON($0) })
    }

    @Test(arguments: [
        "", "application", "application/jsonx", "application/json-patch+json", "text/json", "application/json, text/plain",
        "application/json;charset=latin1",
        "application/json;charset", "application/json;charset = utf-8", "application/json;version=1", "application/json charset=utf-8",
        "application/json;charset=\"utf-8",
        " application/json", "application/problem+json",
    ])
    func `what is not JSON is not`(field: String) {
        #expect(withBytes(field) { !MediaType.isJSON($0) })
    }

    @Test func `an entity tag is the revision in quotes`() {
        #expect(written { EntityTag.append(revision: 12, to: &$0) } == "\"R12\"")
    }

    @Test(arguments: [
        "*", " * ", "\"R12\"", "W/\"R12\"", "\"R1\", \"R12\"", "\"a,b\",\"R12\"", ",\"R12\",", "\"R12\"\t,\"x\"", "\"\",\"R12\"",
        "\"a\\\", \"R12\"",
    ])
    func `a list with the tag matches`(field: String) {
        #expect(withBytes(field) { EntityTag.matches(ifNoneMatch: $0, revision: 12) })
    }

    @Test(arguments: [
        "", ",", "\"R1\"", "\"R123\"", "\"R012\"", "\"r12\"", "\"12\"", "R12", "\"R12", "R12\"", "w/\"R12\"", "W\"R12\"", "W/ \"R12\"",
        "\"R12\" \"R12\"", "*, \"R12\"", "**",
        "\"R12\" x", "\"R12 \"", "\"R\"", "\"R18446744073709551628\"", "\"R-12\"", "\"R12\u{0}\"",
    ])
    func `a list without the tag, or what is no list, does not match`(field: String) {
        #expect(withBytes(field) { !EntityTag.matches(ifNoneMatch: $0, revision: 12) })
    }

    @Test func `a trace's id is the second part`() {
        #expect(TraceContext.traceID(Self.traceparent) == "4bf92f3577b34da6a3ce929d0e0e4736")
    }

    private static let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test(arguments: [
        traceparent, traceparent.replacing("00-4", with: "01-4"), traceparent.replacing("00-4", with: "cc-4") + "-what-comes-later",
        traceparent.dropLast(2) + "ff",
    ])
    func `a trace is carried on`(field: String) {
        #expect(withBytes(field) { TraceContext.isValid(traceparent: $0) })
    }

    @Test(arguments: [
        "", String(traceparent.dropLast()), traceparent + "0", traceparent + "-", traceparent + "-x", traceparent.uppercased(),
        traceparent.replacing("00-4", with: "ff-4"),
        traceparent.replacing("4bf92f3577b34da6a3ce929d0e0e4736", with: String(repeating: "0", count: 32)),
        traceparent.replacing("00f067aa0ba902b7", with: String(repeating: "0", count: 16)),
        traceparent.replacing("-01", with: "_01"), traceparent.replacing("00-4", with: "0g-4"),
        traceparent.replacing("00-4", with: "01-4") + "x",
        traceparent.replacing("00-4", with: "01-4") + "-" + String(repeating: "x", count: 100),
        traceparent.replacing("00-4", with: "01-4") + "-a b",
    ])
    func `a trace that is not valid is not carried on`(field: String) {
        #expect(withBytes(field) { !TraceContext.isValid(traceparent: $0) })
    }
}
