// Command umlinit is the first process of a User-Mode Linux machine that runs
// tests (package uml). It makes the file tree and the loopback interface usable,
// loads kernel modules, runs one command, says how it ended and stops the
// machine. It is of no use anywhere else, and refuses to run there.
package main
