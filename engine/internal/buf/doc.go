// Package buf has the counted buffers in which payload lies between the socket and
// the application.
//
// A Buffer is a fixed piece of memory with a count of its users; the last Release
// gives it back to its Pool. A View is some bytes of a Buffer together with one
// count of it. Each signature that takes or returns either says one of
//
//   - borrow: the callee may use it until it returns;
//   - keep: the callee takes a count of its own (Retain) and releases it later;
//   - give: the caller's count becomes the callee's.
//
// Counts are atomic, since packets of several connections share a Buffer; all else
// belongs to one owner at a time. Releasing more often than retained panics: it is
// a defect of ours that no packet can cause.
package buf
