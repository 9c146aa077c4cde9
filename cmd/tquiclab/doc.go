// Command tquiclab builds a multipath WAN on one Linux box, runs real transports
// over it, and says which was better and why.
//
// Each verb has a file of its own. They wire engines and backends together and
// turn errors into exit codes; whatever a library user would want is in the
// packages below.
package main
