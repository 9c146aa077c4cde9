// Package agent is both halves of the child process that runs an engine inside
// a node: Main is the child's loop, Process the lab's handle on it.
//
// The two speak JSON lines on the child's standard streams. The lab writes one
// request at a time and the child answers it; while a bulk transfer runs, the
// child also writes progress events. Standard error is for people: the lab
// keeps its tail and quotes it when something goes wrong.
//
//	lab    {"id":1,"op":"listen","params":{"engine":"tcp","paths":[...]}}
//	child  {"id":1,"result":{"paths":[...],"certificate":"..."}}
//	lab    {"id":2,"op":"bulk","params":{...}}
//	child  {"id":2,"event":"progress","result":{"at_ns":100000000,"bytes":65536}}
//	child  {"id":2,"result":{"report":{...},"usage":{...}}}
//	child  {"id":3,"error":{"text":"unknown engine \"tpc\"..."}}
//
// The package enters no network namespace: the child was started in its own. It
// decides nothing about trials either, that is lab/runner's business.
//
// Files: protocol.go has the messages, lines.go their framing; main.go the
// child's loop, transport.go its sessions, prepared.go their first streams,
// bulk.go its transfer, timed.go what goes by the clock, paths.go what the engine says of its paths meanwhile, drop.go how it gives up root, usage.go what it costs,
// certificate.go whom it trusts, keylog.go where its secrets go; process.go the lab's handle, calls.go its typed
// calls, ending.go how it ends and what its errors say, tail.go the end of
// standard error.
//
// # Invariants
//
// The child ends when its standard input closes, whatever it is doing: nothing
// of it outlives a killed lab. Neither side can block the other for ever: the
// lab always reads, the child drops progress that the lab does not take, and
// each call is bounded by its context. A line that is no message, is too long
// or comes too often ends the conversation, and the child with it. Close always
// ends and reaps the child.
//
// # Limitations
//
// A child that is stuck in the kernel (state D) outlives even SIGKILL for a
// while; Close says so instead of waiting for ever.
package agent
